// `npm ci` builds dist/; without the development dependencies (an install of the packed package) there is nothing to do.
import { existsSync } from "node:fs";

if (existsSync("node_modules/typescript") && existsSync("tsconfig.build.json")) await import("./build.mjs");

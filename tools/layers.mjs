// Checks that every import in src/ goes down the table of layers.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const below8 = ["core", "runtime", "ir", "ops", "autodiff", "kernel", "compile", "tensor", "nn", "optim", "data"];
/** Folder -> folders that it may import besides itself. */
export const layers = {
  core: [],
  runtime: ["core"],
  ir: ["core"],
  ops: ["core", "ir"],
  autodiff: ["core", "ir", "ops"],
  kernel: ["core", "ir", "ops", "runtime"],
  compile: ["core", "ir", "ops", "kernel", "runtime"],
  backends: ["core", "ir", "ops", "kernel", "runtime"],
  tensor: ["core", "ir", "ops", "autodiff", "kernel", "compile", "runtime"],
  nn: ["tensor", "core"],
  optim: ["tensor", "core"],
  data: ["tensor", "core"],
  models: [...below8, "llm", "train"],
  llm: [...below8, "models", "train"],
  train: [...below8, "models", "llm"],
};
/** Files with a narrower rule than their folder's. */
const exact = [
  [/^backends\/[^/]+\/device\.ts$/, ["core", "runtime", "backends"]],
  // The runtime's entry opens devices by lazy import; devices import nothing above the runtime.
  [/^runtime\/(index|page)\.ts$/, ["core", "backends"]],
];

const src = resolve("src");
const files = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));
const bad = [];
for (const file of files(src).filter((f) => f.endsWith(".ts") && !f.endsWith(".test.ts"))) {
  const path = relative(src, file);
  const layer = path.split("/")[0];
  const may = exact.find(([pattern]) => pattern.test(path))?.[1] ?? layers[layer];
  if (!may) continue;
  const text = readFileSync(file, "utf8");
  for (const [, spec] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    const to = relative(src, resolve(dirname(file), spec)).split("/");
    if (to[0] === layer) {
      if (layer === "backends" && to[1] !== path.split("/")[1]) bad.push(`${path}: one backend may not import another (${spec})`);
    } else if (!may.includes(to[0])) bad.push(`${path}: ${layer} may not import ${to[0]} (${spec})`);
  }
}
if (bad.length) {
  console.error(bad.join("\n"));
  process.exit(1);
}
console.log("layers: every import goes down");

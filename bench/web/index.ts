/** `--suite web`: the wasm backend in Node against JavaScript peers on WebAssembly. */
import type { Case } from "../row.js";
import { compileGpt } from "./compile.js";
import { decode } from "./decode.js";
import { kernels } from "./kernels.js";

export const cases: readonly Case[] = [...kernels, decode, compileGpt];
export { closePeers as close } from "../cpu/contest.js";
export { bars } from "./bars.js";

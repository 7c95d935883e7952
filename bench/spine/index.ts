/** `--suite spine`: the main job against PyTorch, and what recording and compiling cost. */
import type { Case } from "../row.js";
import { callOverhead } from "./call-overhead.js";
import { demoTrain } from "./demo-train.js";
import { trace100k } from "./trace-100k-nodes.js";
import { traceCompile } from "./trace-compile-gpt12.js";

export const cases: readonly Case[] = [demoTrain, traceCompile, callOverhead, trace100k];

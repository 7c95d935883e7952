#!/usr/bin/env node
/** The `treepie` command: every subcommand loads its own code when it is called. */
import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { ArgumentError, TreepieError } from "../core/errors.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };

/** Counts, numbers and lists on the command line. */
const count = (text: string): number => {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 0) throw new InvalidArgumentError("a whole number of at least 0 is needed");
  return n;
};
const real = (text: string): number => {
  const n = Number(text);
  if (text.trim() === "" || !Number.isFinite(n)) throw new InvalidArgumentError("a number is needed");
  return n;
};
const list = (text: string): string[] => text.split(",").filter(Boolean);

const program = new Command("treepie")
  .description("Deep learning in TypeScript: train, export and run models.")
  .version(version)
  .exitOverride();
const device = [
  "--device <name>",
  "where to run: c, cuda (cuda:1 is the second GPU), webgpu, wasm, js or interp (default: the best on the CPU that works here)",
] as const;

program
  .command("doctor")
  .description("what this machine has: processor, compiler, GPUs, and which backends work")
  .option("--json", "print JSON")
  .action(async (o: { json?: boolean }) => (await import("./doctor.js")).doctor(o));

program
  .command("train")
  .description("train a small GPT on text, save it, export it, and let it write")
  .option("--demo", "train on the declarations of the installed TypeScript (the default)")
  .option("--text <file>", "train on this file instead")
  .option("--steps <n>", "training steps", count)
  .option("--stop-at <n>", "save and stop after this many steps in all; --resume goes on", count)
  .option("--seed <n>", "seed of parameters, batches and sampling (default: 1)", count)
  .option("--resume", "go on from the checkpoint under --out, with the options that it was made with")
  .option("--out <folder>", "where the checkpoint, the curve and the exported model go", "runs/demo")
  .option("--layers <n>", "transformer blocks (default: 4)", count)
  .option("--width <n>", "columns of the residual stream (default: 128)", count)
  .option("--heads <n>", "attention heads (default: 4)", count)
  .option("--context <n>", "bytes that the model sees (default: 128)", count)
  .option("--batch <n>", "sequences a step (default: 16)", count)
  .option("--lr <rate>", "highest learning rate (default: 0.003)", real)
  .option("--dtype <name>", "what products are computed in, f32 or bf16; weights stay f32 (default: f32)")
  .option(...device)
  .option("--json <file>", "also write the results as JSON")
  .action(async (o: import("./train.js").TrainCommand) => (await import("./train.js")).train(o));

program
  .command("generate")
  .description("let a text model continue a prompt: a .pie file with the small runtime alone, or a folder in the Hugging Face layout")
  .argument("[file]", "a .pie file with a `decode` method")
  .option("--model <folder>", "a folder with config.json, safetensors and tokenizer.json, instead of a file")
  .option("--prompt <text>", "text to continue", "")
  .option("--max-tokens <n>", "tokens to generate", count, 300)
  .option("--temperature <t>", "0 is greedy", real, 0.8)
  .option("--seed <n>", "seed of the sampling", count, 1)
  .option("--trust", "run native code that the file carries (only for files you made or trust)")
  .option(...device)
  .option("--dtype <name>", "with --model: f32, bf16 or f16 (default: as the weights are stored)")
  .option("--threads <n>", "threads of the c device (default: one per core)", count)
  .option("--max-length <n>", "with --model: positions of the cache (default: the model's context, at most 2048)", count)
  .option("--top-k <n>", "with --model: draw from this many of the likeliest tokens", count)
  .option("--top-p <p>", "with --model: draw from the likeliest tokens that together have this probability", real)
  .option("--min-p <p>", "with --model: draw from tokens with at least this part of the likeliest one's probability", real)
  .option("--repetition-penalty <x>", "with --model: make tokens that were there less likely", real)
  .option("--json", "print the text and its rates as JSON at the end")
  .action(async (file: string | undefined, o: import("./generate.js").GenerateCommand & { readonly model?: string }) => {
    if ((file === undefined) === (o.model === undefined)) throw new ArgumentError("generate takes either a .pie file or --model FOLDER");
    if (file !== undefined) await (await import("./generate.js")).generate(file, o);
    else await (await import("./generate-model.js")).generateModel({ ...o, model: o.model! });
  });

program
  .command("export")
  .description("turn a checkpoint of `train`, or a .pie file, into a .pie file with programs for other targets")
  .argument("<from>", "a folder that `train` wrote, or a .pie file, whose graphs are compiled anew")
  .option("--out <file>", "the file to write", "model.pie")
  .option("--target <names>", "comma-separated backends to compile for (none: the graph alone)", list)
  .option("--binary", "also store compiled machine code, for machines without a compiler")
  .action(async (folder: string, o: import("./export.js").ExportCommand) => (await import("./export.js")).exportModel(folder, o));

program
  .command("run")
  .description("run one method of a .pie file on tensors from a safetensors file")
  .argument("<file>", "a .pie file")
  .argument("<method>", "the method's name; `inspect` lists them")
  .option("--input <file>", "safetensors file with a tensor for each input")
  .option("--out <file>", "where to write the outputs (default: print them)")
  .option("--trust", "run native code that the file carries (only for files you made or trust)")
  .option(...device)
  .option("--json", "print JSON")
  .action(async (file: string, method: string, o: import("./run.js").RunCommand) => (await import("./run.js")).run(file, method, o));

program
  .command("inspect")
  .description("what a .pie or safetensors file holds: tensors, sizes, methods, kernels")
  .argument("<file>", "a .pie or .safetensors file")
  .option("--kernels", "explain every step of every program")
  .option("--json", "print JSON")
  .action(async (file: string, o: import("./inspect.js").InspectCommand) => (await import("./inspect.js")).inspect(file, o));

program
  .command("bench")
  .description("time this machine: the same as `npm run bench` in a clone")
  .allowUnknownOption()
  .helpOption(false)
  .argument("[args...]")
  .action(async (args: string[]) => {
    process.argv.splice(2, Infinity, ...args);
    await import(new URL("../bench/index.js", import.meta.url).href);
  });

try {
  await program.parseAsync();
} catch (error) {
  // 2: the command was not understood (commander has said why); 1: it failed.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (process.env["TREEPIE_DEBUG"] || !expected(error)) throw error;
  else {
    console.error(`treepie: ${error.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
/** Errors whose message says it all: our own, and those of files and processes. */
function expected(error: unknown): error is Error {
  return error instanceof TreepieError || (error instanceof Error && "syscall" in error && "code" in error);
}

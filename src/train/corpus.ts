/** Text to train on, as bytes: the declarations that every TypeScript install has, or any file. */
import { joined } from "../core/bytes.js";
import { ArgumentError } from "../core/errors.js";
import { builtin, files, paths } from "../core/host.js";

/** A byte corpus cut into 8 KiB blocks, of which every 20th is held out. */
export interface Corpus {
  readonly name: string;
  readonly train: Uint8Array;
  readonly validation: Uint8Array;
}
const blockBytes = 8192;
const heldOut = 20;

/** Blocks 19, 39, 59, ... are for validation; the rest, joined, is for training. */
export function split(name: string, text: Uint8Array): Corpus {
  const parts: Record<"train" | "validation", Uint8Array[]> = { train: [], validation: [] };
  for (let at = 0, i = 0; at < text.length; at += blockBytes, i++)
    parts[i % heldOut === heldOut - 1 ? "validation" : "train"].push(text.subarray(at, at + blockBytes));
  if (parts.validation.length === 0)
    throw new ArgumentError(`${name}: ${text.length} bytes are too few: at least ${heldOut * blockBytes} are needed to hold a block out`);
  return { name, train: joined(parts.train), validation: joined(parts.validation) };
}

/** Any file as a corpus. */
export const readText = (file: string): Corpus => split(file, files().readFileSync(file));

/** All `lib*.d.ts` of the installed TypeScript but `lib.webworker*`, which repeats `lib.dom`. */
export const typescriptLibraries = (): Corpus => split("TypeScript's lib*.d.ts", typescriptLibraryText());

/** The text itself. */
export function typescriptLibraryText(): Uint8Array {
  const folder = libraryFolder();
  const { readdirSync, readFileSync } = files();
  const { join } = paths();
  const names = readdirSync(folder)
    .filter((f) => /^lib.*\.d\.ts$/.test(f) && !f.startsWith("lib.webworker"))
    .sort();
  if (!names.length) throw new ArgumentError(`no lib*.d.ts in ${folder}: install typescript, or name a text with --text FILE`);
  return joined(names.map((f) => readFileSync(join(folder, f))));
}
/** Since TypeScript 7 the libraries lie in a package of their own for each platform. */
function libraryFolder(): string {
  const { dirname, join } = paths();
  const { createRequire } = builtin("node:module")!;
  const require = createRequire(import.meta.url);
  let main: string;
  try {
    main = require.resolve("typescript/package.json");
  } catch (cause) {
    throw new ArgumentError(
      "the demo trains on TypeScript's own declarations, and typescript is not installed: name a text with --text FILE",
      { cause },
    );
  }
  try {
    return join(dirname(createRequire(main).resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`)), "lib");
  } catch {
    return join(dirname(main), "lib");
  }
}

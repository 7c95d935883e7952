/** What the engine around us has. Everything of Node is asked for here, when it is needed, so that the same modules load in a page. */
import { FileError } from "./errors.js";

interface Modules {
  readonly "node:child_process": typeof import("node:child_process");
  readonly "node:crypto": typeof import("node:crypto");
  readonly "node:fs": typeof import("node:fs");
  readonly "node:module": typeof import("node:module");
  readonly "node:os": typeof import("node:os");
  readonly "node:path": typeof import("node:path");
  readonly "node:v8": typeof import("node:v8");
  readonly "node:vm": typeof import("node:vm");
  readonly "node:worker_threads": typeof import("node:worker_threads");
}
interface Process {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stderr?: { write(text: string): unknown };
  readonly pid?: number;
  getBuiltinModule?(name: string): unknown;
}
const process = (): Process | undefined => (globalThis as { process?: Process }).process;

/** A module of Node, which Deno and Bun have too; undefined in a browser. */
export function builtin<K extends keyof Modules>(name: K): Modules[K] | undefined {
  return process()?.getBuiltinModule?.(name) as Modules[K] | undefined;
}
/** The file system. Throws FileError where there is none. */
export function files(): Modules["node:fs"] {
  const fs = builtin("node:fs");
  if (!fs) throw new FileError("there are no files here: a page gives a URL, a File that its user chose, or bytes");
  return fs;
}
/** Functions of paths, where there are files. */
export function paths(): Modules["node:path"] {
  files();
  return builtin("node:path")!;
}
/** A variable of the environment; undefined where it is not set or there is no environment. */
export const env = (name: string): string | undefined => process()?.env?.[name];
/** The number behind TREEPIE_DEBUG, TREEPIE_PROFILE and the like; 0 where it is none. */
export const envLevel = (name: string): number => Number(env(name) ?? 0) || 0;
/** Number of this process, where processes have one. */
export const processId = (): number => process()?.pid ?? 0;

/** Tells people something: on standard error, or in a page's console. */
export function tell(text: string): void {
  const out = process()?.stderr;
  if (out) out.write(`${text}\n`);
  else console.warn(text);
}

interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
}
let turns: { readonly waiting: (() => void)[]; readonly port: Port } | undefined;
/** Calls back after a turn of the event loop: input, timers and signals have theirs. */
export function afterTurn(work: () => void): void {
  const { setImmediate, MessageChannel } = globalThis as unknown as {
    setImmediate?: (work: () => void) => unknown;
    MessageChannel?: new () => { readonly port1: Port; readonly port2: Port };
  };
  if (setImmediate) {
    setImmediate(work);
    return;
  }
  // A browser's timers wait for 4 ms once they are nested; messages do not.
  if (!turns) {
    const { port1, port2 } = new MessageChannel!();
    const waiting: (() => void)[] = [];
    port1.onmessage = () => waiting.shift()!();
    turns = { waiting, port: port2 };
  }
  turns.waiting.push(work);
  turns.port.postMessage(null);
}
/** Resolves after a turn of the event loop. */
export const turn = (): Promise<void> => new Promise(afterTurn);

/** The system's C compiler: finding it, its flags, and turning texts into shared libraries, several at a time. */
import { type ChildProcess, type ExecFileException, execFile, execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { constants, platform, setPriority } from "node:os";
import { CompileError } from "../../core/errors.js";
import { cpu } from "../../runtime/cpu.js";
import { remembered } from "./known.js";
import { instructionFlags, meaning } from "./target.js";

export interface Compiler {
  /** Program and leading arguments. */
  readonly command: readonly string[];
  /** First line of `--version`. */
  readonly version: string;
}
/** One text to compile: `path` names the files beside each other, without extension. */
export interface Job {
  readonly path: string;
  readonly source: string;
}

const remedy: Readonly<Record<string, string>> = {
  linux: "install one (Debian and Ubuntu: apt install gcc; Fedora: dnf install gcc; Alpine: apk add gcc musl-dev)",
  darwin: "install the command line tools (xcode-select --install)",
};
const found = new Map<string, Compiler | string>();

/** The compiler that $CC names, or gcc, clang or cc; a string says why there is none and what would help. */
export function findCompiler(): Compiler | string {
  const wanted = process.env["CC"];
  const known = found.get(wanted ?? "");
  if (known) return known;
  const result = look(wanted);
  found.set(wanted ?? "", result);
  return result;
}

function look(wanted: string | undefined): Compiler | string {
  const help = remedy[platform()] ?? "set the environment variable CC to a gcc or clang";
  if (platform() === "win32") return "the c backend does not work on Windows yet";
  if (wanted !== undefined && /^(false|none|0|)$/.test(wanted.trim()))
    return `the environment variable CC turns the C compiler off (CC=${wanted}); unset it`;
  if (wanted !== undefined) {
    const command = wanted.trim().split(/\s+/);
    const version = ask(command);
    return version ? { command, version } : `CC=${wanted} does not run; unset CC, or ${help}`;
  }
  // Without the tools, cc on a Mac is a stub that opens a dialog: ask for the tools first.
  if (platform() === "darwin" && !answers("xcode-select", ["-p"])) return `no C compiler found: ${help}`;
  for (const name of ["gcc", "clang", "cc"]) {
    const version = ask([name]);
    if (version) return { command: [name], version };
  }
  return `no C compiler found: ${help}`;
}
const answers = (file: string, args: readonly string[]): string | undefined => {
  try {
    return execFileSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 });
  } catch {
    return undefined;
  }
};
const ask = (command: readonly string[]): string | undefined =>
  remembered(command, ["version"], () => {
    const [file, ...args] = command;
    return (
      answers(file!, [...args, "--version"])
        ?.split("\n")[0]
        ?.trim() || undefined
    );
  });

const supported = new Map<string, readonly string[]>();
/** The extensions that this machine has and the compiler knows: older compilers lack the newer ones. */
function usableFeatures(compiler: Compiler): readonly string[] {
  const { arch, features } = cpu();
  const known = supported.get(compiler.version);
  if (known) return known;
  const takes = (some: readonly string[]): boolean =>
    answers(compiler.command[0]!, [
      ...compiler.command.slice(1),
      ...instructionFlags({ arch, features: some }),
      "-E",
      "-x",
      "c",
      "/dev/null",
    ]) !== undefined;
  const usable = remembered(compiler.command, ["features", arch, ...features], () =>
    takes(features) ? features : features.filter((f) => takes([f])),
  );
  supported.set(compiler.version, usable);
  return usable;
}

/** This machine as its compiler can use it. */
export function here(): { readonly arch: string; readonly features: readonly string[] } {
  const compiler = findCompiler();
  return { arch: cpu().arch, features: typeof compiler === "string" ? cpu().features : usableFeatures(compiler) };
}
/** Flags for code that runs on every machine with those features; `tune` schedules for this one. */
export const flagsFor = (
  target: { readonly arch: string; readonly features: readonly string[] } = here(),
  tune = true,
): readonly string[] => [
  "-O2",
  ...instructionFlags(target),
  ...(tune && target.arch === "x86-64" ? ["-mtune=native"] : []),
  ...meaning,
  "-w",
  "-fPIC",
  "-shared",
  "-pthread",
];

/** How compilers are run for a build. */
export interface Haste {
  readonly signal?: AbortSignal | undefined;
  /** Nobody waits yet: other processes of the machine go first. */
  readonly later?: boolean;
}
/** Compiles every job to `<path>.so`, at most one process per core at a time in all builds together; the event loop goes on. */
export async function compileAll(compiler: Compiler, flags: readonly string[], jobs: readonly Job[], haste: Haste = {}): Promise<void> {
  let failed = false;
  const ends = await Promise.allSettled(
    jobs.map((job) =>
      inLane(async () => {
        if (failed) return;
        try {
          await compileOne(compiler, flags, job, haste);
        } catch (error) {
          failed = true;
          throw error;
        }
      }),
    ),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
/** Those who wait for a core, in order, and how many have one. */
const waiting: (() => void)[] = [];
let running = 0;
async function inLane(work: () => Promise<void>): Promise<void> {
  if (running < cpu().cores) running++;
  else await new Promise<void>((go) => waiting.push(go));
  try {
    await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
function compileOne(compiler: Compiler, flags: readonly string[], job: Job, { signal, later }: Haste): Promise<void> {
  const [file, ...args] = commandFor(compiler, flags, job);
  const clean = (): void => rmSync(`${job.path}.c`, { force: true });
  return new Promise<void>((resolve, reject) => {
    const options = { maxBuffer: 1 << 24, detached: later === true, ...(signal && { signal }) };
    const child = execFile(file!, args, options, (error, _out, err) => {
      process.off("exit", kill);
      if (error) reject(signal?.aborted ? signal.reason : failure(compiler, error, err));
      else resolve();
    });
    if (later) stepBack(child);
    // Nobody waits for a compiler whose process has ended.
    const kill = (): void => {
      if (later && child.pid !== undefined) killGroup(child.pid);
      else child.kill();
      clean();
    };
    process.once("exit", kill);
  }).finally(clean);
}
/** Ends a process and those that it started. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid);
  } catch {
    // All of them have ended already.
  }
}
/** Lets other processes go before this one, and this program end before it. */
function stepBack(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdout, child.stderr]) (pipe as Socket | null)?.unref();
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

/** The same, blocking: a shell starts the compilers side by side and waits for all of them. */
export function compileAllSync(compiler: Compiler, flags: readonly string[], jobs: readonly Job[]): void {
  const quote = (s: string): string => `'${s.replaceAll("'", "'\\''")}'`;
  const lanes = Array.from({ length: Math.min(cpu().cores, jobs.length) }, (_, lane) => jobs.filter((_, i) => i % cpu().cores === lane));
  const script = lanes.map(
    (lane) =>
      `(${lane.map((j) => `${commandFor(compiler, flags, j).map(quote).join(" ")} 2>${quote(`${j.path}.log`)}`).join(" && ")}) & p="$p $!"`,
  );
  try {
    execFileSync("sh", ["-c", `p=''; ${script.join("\n")}\ns=0; for q in $p; do wait $q || s=1; done; exit $s`], { stdio: "ignore" });
  } catch (error) {
    const logs = jobs.map((j) => readText(`${j.path}.log`)).filter(Boolean);
    throw failure(compiler, error as Error, logs.join("\n"));
  } finally {
    for (const job of jobs) for (const end of [".c", ".log"]) rmSync(job.path + end, { force: true });
  }
}
const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
function commandFor(compiler: Compiler, flags: readonly string[], job: Job): string[] {
  writeFileSync(`${job.path}.c`, job.source);
  return [...compiler.command, ...flags, "-o", `${job.path}.so`, `${job.path}.c`, "-lm"];
}
function failure(compiler: Compiler, error: ExecFileException | Error, text: string): CompileError {
  const lines = text.split("\n").filter((l) => l.trim());
  const shown = lines.slice(0, 12).join("\n");
  return new CompileError(`${compiler.command.join(" ")} (${compiler.version}) refused generated code:\n${shown || error.message}`, {
    cause: error,
  });
}

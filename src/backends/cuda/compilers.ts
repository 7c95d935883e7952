/** Processes that compile side by side. They live while there is something to compile, and end with it. */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { CompileError, UnsupportedError } from "../../core/errors.js";
import type { CompileAnswer, CompileRequest } from "./compile-process.js";

/** Processes at most: each takes the compiler's memory, and a program has few texts. */
const most = 12;

/** The script of such a process; absent where the package runs from one bundled file, or from its sources. */
const ownScript = fileURLToPath(new URL("./compile-process.js", import.meta.url));

interface Waiting {
  readonly request: CompileRequest;
  resolve(code: Uint8Array): void;
  reject(error: Error): void;
}

/** Compiles some texts at once. */
export class Compilers {
  readonly #script: string;
  readonly #processes: number;
  readonly #path: string;
  readonly #flags: readonly string[];
  readonly #queue: Waiting[] = [];
  readonly #idle: ChildProcess[] = [];
  readonly #all = new Set<ChildProcess>();
  #next = 0;

  /** Processes for the compiler at `path`, for as many texts as will come; undefined where one at a time is as good. */
  static for(path: string, flags: readonly string[], texts: number, script: string = ownScript): Compilers | undefined {
    const processes = Math.min(texts, most, availableParallelism());
    return processes > 1 && existsSync(script) ? new Compilers(script, processes, path, flags) : undefined;
  }
  private constructor(script: string, processes: number, path: string, flags: readonly string[]) {
    this.#script = script;
    this.#processes = processes;
    this.#path = path;
    this.#flags = flags;
  }

  compile(source: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ request: { id: this.#next++, path: this.#path, source, flags: this.#flags }, resolve, reject });
      if (!this.#idle.length && this.#all.size < this.#processes) this.#start();
      this.#serve();
    });
  }
  /** Ends the processes, once all texts are compiled. */
  close(): void {
    // They hold nothing to save.
    for (const child of this.#all) child.kill("SIGKILL");
    this.#all.clear();
  }

  #start(): void {
    const child = fork(this.#script, [], { serialization: "advanced", execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#all.add(child);
    this.#idle.push(child);
  }
  #serve(): void {
    while (this.#queue.length && this.#idle.length) this.#give(this.#idle.pop()!, this.#queue.shift()!);
  }
  #give(child: ChildProcess, w: Waiting): void {
    const gone = (why: string): void => {
      child.removeAllListeners();
      this.#all.delete(child);
      w.reject(new CompileError(`a compiling process ${why}; it was at\n${w.request.source.slice(-400)}`));
      if (this.#queue.length && !this.#all.size) this.#start();
      this.#serve();
    };
    child.once("message", (answer: CompileAnswer) => {
      child.removeAllListeners();
      this.#idle.push(child);
      this.#serve();
      if ("code" in answer) w.resolve(answer.code);
      else if (answer.name === "UnsupportedError") w.reject(new UnsupportedError(answer.message));
      else w.reject(new CompileError(answer.message, { kernel: answer.kernel }));
    });
    child.once("exit", (code, signal) => gone(`ended with ${signal ?? code}`));
    child.once("error", (error) => gone(`failed: ${error.message}`));
    child.send(w.request);
  }
}

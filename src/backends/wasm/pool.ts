/** The threads of one device: started when they are first needed, told of kernels, given programs, and replaced when one dies. */

import { DeviceError } from "../../core/errors.js";
import type { WasmMemory, WasmModule } from "./api.js";
import { control } from "./control.js";
import type { Kernels, News } from "./kernels.js";
import { giveThread, type Report, type Thread } from "./workers.js";

export interface PoolOptions {
  readonly memory: WasmMemory;
  readonly driver: WasmModule;
  readonly kernels: Kernels;
  /** Address of the control block. */
  readonly control: number;
  readonly threads: number;
  readonly make: () => Thread;
}
let owners = 0;

export class Pool {
  readonly #o: PoolOptions;
  readonly #words: Int32Array;
  #threads: Thread[] = [];
  #owner = 0;
  #pending: { readonly ticket: number; readonly end: (result: number, why?: Error) => void } | undefined;
  #trouble: string | undefined;
  #started = false;

  constructor(options: PoolOptions) {
    this.#o = options;
    this.#words = new Int32Array(options.memory.buffer, options.control);
    this.#words[control.threads / 4] = options.threads;
  }
  /** Why the last program failed, if a thread said so. */
  trouble(): string | undefined {
    const why = this.#trouble;
    this.#trouble = undefined;
    return why;
  }
  get(offset: number): number {
    return Atomics.load(this.#words, offset / 4);
  }
  set(offset: number, value: number): void {
    Atomics.store(this.#words, offset / 4, value);
  }

  /** Starts threads that are missing and tells all of new kernels. They join when they are ready. */
  ready(): void {
    if (this.#trouble !== undefined) this.reset(); // a thread that could not load kernels
    const news = this.#o.kernels.news();
    if (!this.#started) this.#start();
    else if (news) this.#send(this.#threads, news);
  }
  #start(): void {
    this.#started = true;
    this.#owner = ++owners;
    const owner = {
      report: (r: Report) => this.#report(r),
      died: (why: string) => this.#died(why),
    };
    this.#threads = Array.from({ length: this.#o.threads }, () => this.#o.make());
    this.#threads.forEach((t, thread) => {
      t.owner = owner;
      const { memory, driver, control } = this.#o;
      t.post({ kind: "start", memory, driver, control, thread, owner: this.#owner });
    });
    this.#send(this.#threads, this.#o.kernels.all());
  }
  #send(threads: readonly Thread[], news: News): void {
    for (const t of threads) t.post({ kind: "load", owner: this.#owner, ...news });
    this.set(control.mail, news.version);
    this.#ring();
  }
  #ring(): void {
    for (const bell of [control.bell, control.call]) {
      Atomics.add(this.#words, bell / 4, 1);
      Atomics.notify(this.#words, bell / 4);
    }
  }

  /** Has thread 0 run a table; `end` hears what came of it. Returns the run's number. */
  run(table: number, end: number, done: (result: number, why?: Error) => void): number {
    const ticket = (this.get(control.command) + 1) | 0;
    this.set(control.table, table);
    this.set(control.end, end);
    this.#pending = { ticket, end: done };
    this.#threads[0]!.hold(true);
    this.set(control.command, ticket);
    this.#ring();
    return ticket;
  }
  /** Blocks this thread until the run that is pending has ended, and returns its result; nobody else hears of it. */
  wait(): number {
    const { ticket } = this.#pending!;
    for (;;) {
      const now = this.get(control.completed);
      if (now === ticket) break;
      Atomics.wait(this.#words, control.completed / 4, now);
    }
    this.#settle();
    return this.get(control.result);
  }
  #settle(): void {
    this.#pending = undefined;
    this.#threads[0]?.hold(false);
  }

  #report(r: Report): void {
    if (r.owner !== this.#owner) return;
    if (r.kind === "failed") this.#trouble = r.message;
    else if (r.kind === "done" && r.ticket === this.#pending?.ticket) {
      const { end } = this.#pending;
      this.#settle();
      end(r.result);
    }
  }
  #died(why: string): void {
    const pending = this.#pending;
    this.#stop((t) => t.end());
    this.#settle();
    pending?.end(2, new DeviceError(`a worker thread of the wasm device died: ${why}; what it was computing is lost`));
  }
  /** Lets go of the threads: the next program starts others. */
  #stop(each: (t: Thread) => void): void {
    const threads = this.#threads;
    this.#threads = [];
    this.#started = false;
    this.#owner = 0;
    for (const t of threads) {
      t.owner = undefined;
      each(t);
    }
    for (const offset of [control.left, control.left + 4, control.sleepers, control.busy, control.failed, control.abort, control.stop])
      this.set(offset, 0);
    this.set(control.completed, this.get(control.command));
  }
  /** After a failure threads may hold work that nobody waits for. */
  reset(): void {
    this.#trouble = undefined;
    this.#stop((t) => t.end());
  }
  /** Sends the threads away, to be used by others. */
  async close(): Promise<void> {
    if (!this.#started) return;
    const threads = this.#threads;
    const owner = this.#owner;
    this.set(control.stop, 1);
    // Whoever waits in WebAssembly hears the bell, whoever is in its event loop the message.
    for (const t of threads) t.post({ kind: "stop", owner });
    await Promise.all(
      threads
        .map(
          (t) =>
            new Promise<void>((resolve) => {
              t.hold(true);
              t.owner = {
                report: (r) => {
                  if (r.kind !== "idle" || r.owner !== owner) return;
                  giveThread(t);
                  resolve();
                },
                died: () => resolve(),
              };
            }),
        )
        .concat([Promise.resolve().then(() => this.#ring())]),
    );
    this.#threads = [];
    this.#started = false;
  }
}

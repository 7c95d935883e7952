/** The page's end of the worker: calls that resolve, events as they come, and a new worker when one dies. */
import type { Calls, Event, Reply, Request } from "./protocol.js";

/** Something that a person is to read. */
export class Failure extends Error {}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Client {
  #worker: Worker | undefined;
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();
  readonly #hear: (e: Event) => void;
  readonly #died: () => void;

  /** `died` hears that everything that was loaded is lost. */
  constructor(hear: (e: Event) => void, died: () => void) {
    this.#hear = hear;
    this.#died = died;
  }
  call<K extends keyof Calls>(call: K, argument: Calls[K]["takes"]): Promise<Calls[K]["gives"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#start().postMessage({ id, call, argument } satisfies Request);
    });
  }
  #start(): Worker {
    if (this.#worker) return this.#worker;
    // Pages that came over plain http have no locks.
    const name = navigator.locks ? crypto.randomUUID() : "";
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if ("event" in data) return this.#hear(data);
      if ("alive" in data) return this.#watch(worker, data.alive);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("failure" in data) waiting?.reject(new Failure(data.failure));
      else waiting?.resolve(data.value);
    };
    worker.onerror = (e) => this.#fail(e.message || "the part of this page that computes did not start");
    this.#worker = worker;
    return worker;
  }
  /** A browser may end a worker without an event: the lock that it holds is then free. */
  #watch(worker: Worker, name: string): void {
    void navigator.locks.request(name, () => {
      if (this.#worker === worker) this.#fail("the browser ended it, perhaps for want of memory");
    });
  }
  #fail(why: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) w.reject(new Failure(`The computation ended unexpectedly (${why}). Load the model again to go on.`));
    this.#died();
  }
}

/** Bytes on their way into, between and out of buffers, in the order of the programs around them. */
import { Memory, noCounters } from "../../runtime/memory.js";
import { afterwards, type Queue } from "../../runtime/queue.js";
import type { Native } from "./native.js";
import type { Stream } from "./stream.js";
import { copyRecords } from "./table.js";

/** Up to so many bytes lie aside until their turn comes; more than that waits until nothing is under way. */
const mostAside = 4 << 20;

export class Transfers {
  readonly #native: Native;
  readonly #queue: Queue;
  readonly #stream: Stream;
  readonly #aside: Memory<bigint>;
  readonly #blame: (error: Error) => void;

  /** `blame` hears of failures that nobody waits for. */
  constructor(native: Native, queue: Queue, stream: Stream, blame: (error: Error) => void) {
    this.#native = native;
    this.#queue = queue;
    this.#stream = stream;
    this.#blame = blame;
    const source = { take: (bytes: number) => native.alloc(bytes) || undefined, give: (at: bigint) => native.free(at) };
    this.#aside = new Memory("memory for bytes on their way", source, noCounters());
  }

  /** Writes bytes to an address behind everything submitted so far. */
  write(to: bigint, data: Uint8Array): void {
    const { length } = data;
    if (this.#idle()) this.#native.move(to, data, length);
    else if (length > mostAside) {
      const copy = data.slice();
      this.#alone(() => this.#native.move(to, copy, length), this.#blame);
    } else {
      const aside = this.#aside.take(length);
      this.#native.move(aside, data, length);
      this.#later(() => this.#push(aside, to, length, () => this.#aside.give(aside, length), false));
    }
  }
  copy(from: bigint, to: bigint, bytes: number): void {
    if (this.#idle()) this.#native.move(to, from, bytes);
    else this.#later(() => this.#push(from, to, bytes, () => {}, false));
  }
  read(from: bigint, bytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const direct = (): void => resolve(this.bytes(from, bytes));
      if (bytes > mostAside) return this.#alone(direct, reject);
      this.#queue.push({
        step: () => {
          if (this.#stream.settle()) direct();
          else {
            const aside = this.#aside.take(bytes);
            const reached = (): void => {
              resolve(this.bytes(aside, bytes));
              this.#aside.give(aside, bytes);
            };
            this.#push(from, aside, bytes, reached, true);
          }
          return "done";
        },
        done: () => {},
        fail: reject,
      });
    });
  }
  /** Bytes at an address as they are now. */
  bytes(from: bigint, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    if (bytes) this.#native.move(out, from, bytes);
    return out;
  }
  close(): void {
    this.#aside.trim(0);
  }

  #idle(): boolean {
    return this.#queue.idle && this.#stream.settle();
  }
  #push(from: bigint, to: bigint, bytes: number, reached: () => void, urgent: boolean): void {
    this.#stream.push(copyRecords(this.#native.copy, from, to, bytes), 0, reached, urgent);
  }
  #later(work: () => void): void {
    afterwards(this.#queue, work, this.#blame);
  }
  #alone(work: () => void, fail: (error: Error) => void): void {
    this.#queue.push({
      step: (blocking, wake) => {
        if (!this.#stream.alone(blocking, wake)) return "waiting";
        work();
        return "done";
      },
      block: () => this.#stream.block(),
      done: () => {},
      fail: (error) => fail(error as Error),
    });
  }
}

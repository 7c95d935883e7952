/** The buffers of one device: whose they are, whether they are alive, and marked bytes around them that tell what a kernel wrote outside. */
import { ArgumentError, DeviceError, InternalError } from "../core/errors.js";
import type { Allocation } from "./device.js";
import type { Memory } from "./memory.js";

/** A buffer at a place of the device: an address, or a view of an ArrayBuffer. */
export class Block<B, P> implements Allocation {
  readonly bytes: number;
  readonly place: P;
  /** What the memory pool gave, marked bytes included; undefined where none was taken. */
  readonly base: B | undefined;
  readonly owner: Blocks<B, P>;
  /** Takes it back, where it is not of the memory pool: part of a mapped file. */
  readonly giveBack: ((block: Block<B, P>) => void) | undefined;
  freed = false;
  /** False while no work knows of it: nothing has to be waited for to write into it. */
  used = false;
  constructor(owner: Blocks<B, P>, bytes: number, place: P, base?: B, giveBack?: (block: Block<B, P>) => void) {
    this.owner = owner;
    this.bytes = bytes;
    this.place = place;
    this.base = base;
    this.giveBack = giveBack;
  }
  get readOnly(): boolean {
    return this.giveBack !== undefined;
  }
}

/** What the buffers need of their device. */
export interface Ground<B, P> {
  readonly memory: Memory<B>;
  /** The place of buffers without bytes. */
  readonly nowhere: P;
  /** The place of some bytes of what the memory gave. */
  place(base: B, offset: number, bytes: number): P;
  mark(at: P, byte: number, bytes: number): void;
  /** Index of the first byte that is not the mark; -1 where all are. */
  differs(at: P, byte: number, bytes: number): number;
  /** Does something once everything submitted so far is over. */
  later(work: () => void): void;
}

const guardBytes = 256;
const guardMark = 0xa5;

export class Blocks<B, P> {
  readonly #ground: Ground<B, P>;
  readonly #guarded: Set<Block<B, P>> | undefined;
  #closed = false;

  #fault: Error | undefined;

  /** With `guard`, marked bytes are put around every buffer. */
  constructor(ground: Ground<B, P>, guard: boolean) {
    this.#ground = ground;
    this.#guarded = guard ? new Set() : undefined;
  }

  /** Throws where the device is closed. */
  open(): void {
    if (this.#closed) throw new DeviceError("the device is closed");
  }
  close(): void {
    this.#closed = true;
  }

  alloc(bytes: number): Block<B, P> {
    this.open();
    const { memory, nowhere } = this.#ground;
    if (bytes === 0) return new Block(this, 0, nowhere);
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new ArgumentError(`a buffer of ${bytes} bytes cannot be allocated`);
    const margin = this.#guarded ? guardBytes : 0;
    const base = memory.take(bytes + 2 * margin);
    const block = new Block(this, bytes, this.#ground.place(base, margin, bytes), base);
    if (this.#guarded) {
      for (const at of this.#margins(block)) this.#ground.mark(at, guardMark, guardBytes);
      this.#guarded.add(block);
    }
    return block;
  }

  free(a: Allocation): void {
    const block = this.own(a);
    if (block.freed) return;
    block.freed = true;
    if (block.bytes === 0) return;
    this.#ground.later(() => {
      if (block.giveBack) return block.giveBack(block);
      if (this.#guarded?.delete(block)) this.#fault ??= this.#overrun(block);
      this.#ground.memory.give(block.base!, block.bytes + (this.#guarded ? 2 * guardBytes : 0));
    });
  }

  /** The block behind a buffer of this device. */
  own(a: Allocation): Block<B, P> {
    if (!(a instanceof Block) || a.owner !== this) throw new DeviceError("the buffer belongs to another device");
    return a;
  }
  /** The block behind a buffer that has these bytes and is not freed. */
  alive(a: Allocation, offset: number, bytes: number): Block<B, P> {
    this.open();
    const block = this.own(a);
    if (block.freed) throw new DeviceError(`a buffer of ${block.bytes} bytes was used after it was freed`);
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= block.bytes))
      throw new DeviceError(`bytes ${offset} to ${offset + bytes} of a buffer of ${block.bytes} bytes`);
    return block;
  }
  writable(a: Allocation, offset: number, bytes: number): Block<B, P> {
    const block = this.alive(a, offset, bytes);
    if (block.readOnly) throw new DeviceError("part of a mapped file is read only");
    return block;
  }

  /** Keeps a failure that nobody waits for until `fault` asks. */
  blame(error: Error): void {
    this.#fault ??= error;
  }
  /** Looks around every buffer that is marked. */
  inspect(): void {
    for (const block of this.#guarded ?? []) this.#fault ??= this.#overrun(block);
  }
  /** Throws the first failure since the last time, once everything is over that could have written outside a buffer. */
  settled(): void {
    this.inspect();
    const fault = this.fault();
    if (fault) throw fault;
  }
  /** The first failure since the last time. */
  fault(): Error | undefined {
    const fault = this.#fault;
    this.#fault = undefined;
    return fault;
  }

  /** Places of the marked bytes before and after a buffer. */
  #margins(block: Block<B, P>): readonly [P, P] {
    const { place } = this.#ground;
    return [place(block.base!, 0, guardBytes), place(block.base!, guardBytes + block.bytes, guardBytes)];
  }
  /** What a kernel wrote outside a buffer. */
  #overrun(block: Block<B, P>): InternalError | undefined {
    const [before, after] = this.#margins(block).map((at) => this.#ground.differs(at, guardMark, guardBytes)) as [number, number];
    if (before >= 0) return new InternalError(`a kernel wrote ${guardBytes - before} bytes before a buffer of ${block.bytes} bytes`);
    return after < 0 ? undefined : new InternalError(`a kernel wrote at byte ${block.bytes + after} of a buffer of ${block.bytes} bytes`);
  }
}

/** One piece of memory that grows to the largest need: what programs share for their temporaries. */
export class Arena<B> {
  readonly #memory: Memory<B>;
  readonly #what: string;
  #held: { readonly base: B; readonly bytes: number } | undefined;
  constructor(memory: Memory<B>, what: string) {
    this.#memory = memory;
    this.#what = what;
  }
  /** Memory of at least that many bytes, `none` for no bytes at all; earlier memory is given back where it is too small. */
  atLeast(bytes: number, none: B): B {
    if (bytes <= (this.#held?.bytes ?? 0)) return this.#held?.base ?? none;
    const before = this.#held?.bytes ?? 0;
    this.release();
    const grown = before ? Math.max(bytes, Math.ceil(before * 1.25)) : bytes;
    this.#held = { base: this.#memory.take(grown, this.#what), bytes: grown };
    return this.#held.base;
  }
  release(): void {
    if (this.#held) this.#memory.give(this.#held.base, this.#held.bytes);
    this.#held = undefined;
  }
}

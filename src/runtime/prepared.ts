/** A loaded program's sizes and addresses, kept between calls and patched where buffers moved. */
import type { Allocation, Call } from "./device.js";
import { checkBuffer, checkBuffers, type Layout, layoutOf, sameNumbers } from "./encode.js";
import type { Program } from "./program.js";

/** Where a device's memory lies: `A` is an address, or what a device has instead of one. */
export interface Addresses<A = bigint> {
  /** Address of the caller's buffer. */
  of(a: Allocation): A;
  /** Address of the arena, of at least that many bytes. */
  arena(bytes: number): A;
  /** An address so many bytes behind another. */
  within(base: A, offset: number): A;
}

/** What a device keeps of a loaded program. `write` lays everything out for new sizes, `move` patches one buffer's address. */
export abstract class Prepared<P extends Addresses<A>, A = bigint> {
  readonly program: Program;
  readonly #constants: readonly (A | undefined)[];
  #dims: readonly number[] | undefined;
  #last: (Allocation | undefined)[] = [];
  #arena: A | undefined;
  #layout: Layout = { sizes: {}, bytes: [], arenaBytes: 0, offsets: [] };

  constructor(program: Program, constants: readonly (A | undefined)[]) {
    this.program = program;
    this.#constants = constants;
  }

  /** Sizes, and bytes of every buffer, of the call that was prepared last. */
  get sizes(): Layout["sizes"] {
    return this.#layout.sizes;
  }
  get bytes(): Layout["bytes"] {
    return this.#layout.bytes;
  }

  /** Where a temporary of the call that was prepared last lies in the arena. */
  protected offset(buffer: number): number | undefined {
    return this.#layout.offsets[buffer];
  }
  /** Address of a buffer of the call that was prepared last. */
  address(buffer: number, places: P): A {
    const offset = this.#layout.offsets[buffer];
    if (offset !== undefined) return places.within(this.#arena!, offset);
    return this.#constants[buffer] ?? places.of(this.#last[buffer]!);
  }

  /** Makes everything fit a call. In steady state it compares, and writes nothing. */
  prepare(call: Call, places: P): void {
    const fresh = !this.#dims || !sameNumbers(this.#dims, call.dims);
    if (fresh) {
      this.#dims = undefined;
      this.#layout = layoutOf(this.program, call.dims);
    }
    const { buffers } = call;
    const last = this.#last;
    const { bytes, arenaBytes, offsets } = this.#layout;
    if (fresh) checkBuffers(this.program, call, bytes);
    const arena = places.arena(arenaBytes);
    if (fresh) {
      this.#last = [...buffers];
      this.#arena = arena;
      this.write(places);
      this.#dims = [...call.dims];
      return;
    }
    for (let i = 0; i < bytes.length; i++) {
      const b = buffers[i];
      if (b === last[i]) continue;
      checkBuffer(this.program, i, b, bytes[i]!);
      last[i] = b;
      if (b) this.move(i, () => places.of(b));
    }
    if (arena !== this.#arena) {
      this.#arena = arena;
      offsets.forEach((offset, i) => {
        if (offset !== undefined) this.move(i, () => places.within(arena, offset));
      });
    }
  }

  protected abstract write(places: P): void;
  protected abstract move(buffer: number, address: () => A): void;
}

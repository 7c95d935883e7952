/**
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"), on the host. A generator's state is four words: key
 * low, key high, offset low, offset high. Element i of a draw is word i % 4 of the block with counter (i / 4, stream, offset low,
 * offset high), so that every element can be computed alone.
 */

/** Ten rounds over one counter: four words of 32 random bits. */
export function philox(counter: ArrayLike<number>, key: ArrayLike<number>): Uint32Array {
  const out = new Uint32Array(4);
  block(out, 0, counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!);
  return out;
}
function block(out: Uint32Array, at: number, x: number, y: number, z: number, w: number, k0: number, k1: number): void {
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [mulhi(0xd2511f53, x), Math.imul(0xd2511f53, x)];
    const [high1, low1] = [mulhi(0xcd9e8d57, z), Math.imul(0xcd9e8d57, z)];
    x = (high1 ^ y ^ k0) >>> 0;
    z = (high0 ^ w ^ k1) >>> 0;
    y = low1 >>> 0;
    w = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[at] = x;
  out[at + 1] = y;
  out[at + 2] = z;
  out[at + 3] = w;
}
/** The upper half of a product of two u32. */
function mulhi(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carry = a0 * b1 + (middle % 65536);
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0;
}

/** `n` words of random bits: what the op `randomBits` gives. */
export function randomWords(state: ArrayLike<number>, stream: number, n: number): Uint32Array {
  const out = new Uint32Array(Math.ceil(n / 4) * 4);
  for (let i = 0; i < out.length; i += 4) block(out, i, i / 4, stream, state[2]!, state[3]!, state[0]!, state[1]!);
  return out.subarray(0, n);
}

/** The state with its 64-bit offset moved on, so that the next draws are new. */
export function advance(state: ArrayLike<number>, by: number): Uint32Array {
  const offset = BigInt.asUintN(64, (BigInt(state[3]!) << 32n) + BigInt(state[2]!) + BigInt(by));
  return Uint32Array.of(state[0]!, state[1]!, Number(offset & 0xffffffffn), Number(offset >> 32n));
}

/** SHA-256 in parts: Node's own where there is one, otherwise the algorithm of FIPS 180-4 in JavaScript, since a page has only one that needs all bytes at once. */
import { builtin } from "../core/host.js";

/** A hash that is being made. */
export interface Hash {
  update(bytes: Uint8Array): Hash;
  /** The hash in hex. No more bytes are taken. */
  digest(): string;
}

/** Begins a hash. */
export function startHash(): Hash {
  const made = builtin("node:crypto")?.createHash("sha256");
  if (!made) return portableHash();
  const hash: Hash = {
    update(bytes) {
      made.update(bytes);
      return hash;
    },
    digest: () => made.digest("hex"),
  };
  return hash;
}
/** The hash of bytes, or of a text in UTF-8, in hex. */
export const hashOf = (data: Uint8Array | string): string =>
  startHash()
    .update(typeof data === "string" ? new TextEncoder().encode(data) : data)
    .digest();

interface Subtle {
  digest(name: string, bytes: Uint8Array): Promise<ArrayBuffer>;
}
/** The hash of bytes in hex, made by the engine on another thread where it can. */
export async function digest(bytes: Uint8Array): Promise<string> {
  const { subtle } = (globalThis as { crypto?: { subtle?: Subtle } }).crypto ?? {};
  if (!subtle) return hashOf(bytes);
  return Array.from(new Uint8Array(await subtle.digest("SHA-256", bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** The first 32 bits of the fractional parts of square or cube roots of the first primes. */
function fractions(count: number, root: (x: number) => number): Uint32Array {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++)
    if (!Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, i) => i + 2).some((d) => n % d === 0)) found.push(n);
  return Uint32Array.from(found, (p) => (root(p) % 1) * 2 ** 32);
}
let constants: { readonly start: Uint32Array; readonly rounds: Uint32Array } | undefined;

/** The same without Node. */
export function portableHash(): Hash {
  constants ??= { start: fractions(8, Math.sqrt), rounds: fractions(64, Math.cbrt) };
  const k = constants.rounds;
  const state = constants.start.slice();
  const w = new Uint32Array(64);
  const block = new Uint8Array(64);
  let filled = 0;
  let total = 0;
  const mix = (from: Uint8Array, at: number): void => {
    for (let i = 0, j = at; i < 16; i++, j += 4) w[i] = (from[j]! << 24) | (from[j + 1]! << 16) | (from[j + 2]! << 8) | from[j + 3]!;
    for (let i = 16; i < 64; i++) {
      const [x, y] = [w[i - 15]!, w[i - 2]!];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + k[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  };
  const hash: Hash = {
    update(bytes) {
      total += bytes.length;
      let at = 0;
      if (filled) {
        at = Math.min(64 - filled, bytes.length);
        block.set(bytes.subarray(0, at), filled);
        filled += at;
        if (filled < 64) return hash;
        mix(block, 0);
        filled = 0;
      }
      for (; at + 64 <= bytes.length; at += 64) mix(bytes, at);
      block.set(bytes.subarray(at));
      filled = bytes.length - at;
      return hash;
    },
    digest() {
      const bits = BigInt(total) * 8n;
      const end = new Uint8Array(filled < 56 ? 64 - filled : 128 - filled);
      end[0] = 0x80;
      new DataView(end.buffer).setBigUint64(end.length - 8, bits);
      hash.update(end);
      return [...state].map((x) => x.toString(16).padStart(8, "0")).join("");
    },
  };
  return hash;
}

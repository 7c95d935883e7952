/** Random orders from a seed: the same on every machine. */
import { randomWords } from "../core/philox.js";

/** 0, ..., n - 1 in the order that belongs to a seed and an epoch (Fisher and Yates). */
export function randomOrder(n: number, seed: number, epoch: number): number[] {
  const words = randomWords([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, epoch >>> 0, 0xda7a], 0, 2 * n);
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    // 53 bits: the remainder favours no place measurably.
    const bits = (words[2 * i]! >>> 5) * 2 ** 26 + (words[2 * i + 1]! >>> 6);
    const j = bits % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** For every test file: typed arrays are compared as such. `toEqual` would list the names of their elements first, a second for a million. */
import { expect } from "vitest";

type Numbers = ArrayLike<number | bigint>;
const isNumbers = (x: unknown): x is Numbers => ArrayBuffer.isView(x) && !(x instanceof DataView);

expect.addEqualityTesters([
  (a: unknown, b: unknown): boolean | undefined => {
    if (!isNumbers(a) || !isNumbers(b) || a.constructor !== b.constructor) return undefined;
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
    return true;
  },
]);

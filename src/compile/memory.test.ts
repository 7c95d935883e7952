import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Dim, evaluate, mul, variable } from "../core/expr.js";
import { type Lifetime, planMemory } from "./memory.js";

/** No two lifetimes that overlap in time overlap in bytes, whatever the symbolic dims are. */
function check(list: readonly Lifetime[], values: Record<string, number> = {}): void {
  const { offsets, arena } = planMemory(list);
  const at = list.map((x, i) => {
    const start = evaluate(offsets[i]!, values);
    return { ...x, start, end: start + evaluate(x.bytes, values) };
  });
  for (const [i, a] of at.entries()) {
    expect(a.start % 64).toBe(0);
    expect(a.end).toBeLessThanOrEqual(evaluate(arena, values));
    for (const b of at.slice(0, i)) {
      if (a.first > b.last || b.first > a.last || a.start === a.end || b.start === b.end) continue;
      expect(a.end <= b.start || b.end <= a.start).toBe(true);
    }
  }
}

describe("planMemory", () => {
  test("a chain of equal values needs two of them", () => {
    const list = Array.from({ length: 10 }, (_, i) => ({ bytes: 1000, first: i, last: i + 1 }));
    expect(planMemory(list).arena).toBe(2 * 1024);
  });
  test("small values go into the gaps beside large ones", () => {
    const list: Lifetime[] = [
      { bytes: 4096, first: 0, last: 1 },
      { bytes: 64, first: 0, last: 4 },
      { bytes: 2048, first: 2, last: 4 },
      { bytes: 1984, first: 2, last: 3 },
      { bytes: 64, first: 3, last: 4 },
    ];
    check(list);
    expect(planMemory(list).arena).toBe(4096 + 64);
  });
  test("symbolic sizes share slots", () => {
    const n = variable("n", 0, 4096);
    const list: Lifetime[] = Array.from({ length: 6 }, (_, i) => ({ bytes: mul(n, 256), first: i, last: i + 1 }));
    check(list, { n: 5 });
    expect(evaluate(planMemory(list).arena, { n: 5 })).toBe(2 * 5 * 256);
    expect(evaluate(planMemory(list).arena, { n: 0 })).toBe(0);
  });
  test("no plan overlaps", () => {
    const size = fc.oneof(fc.nat(5000), fc.constantFrom(64, 128, 1024));
    const life = fc.record({ first: fc.nat(20), more: fc.nat(6), size, by: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(life, { maxLength: 40 }), fc.array(fc.nat(300), { minLength: 2, maxLength: 2 }), (list, [n, m]) => {
        const dims: Dim[] = [1, variable("n", 0, 300), variable("m", 1, 400), mul(variable("n", 0, 300), variable("m", 1, 400))];
        const lives = list.map((x) => ({ bytes: mul(dims[x.by]!, x.size), first: x.first, last: x.first + x.more }));
        check(lives, { n: n!, m: Math.max(1, m!) });
      }),
      { numRuns: 300 },
    );
  });
  test("very many temporaries", () => {
    const list = Array.from({ length: 4000 }, (_, i) => ({ bytes: 64 * (1 + (i % 7)), first: i, last: i + 3 }));
    const { arena } = planMemory(list);
    expect(arena).toBeLessThanOrEqual(64 * 40);
    check(list.slice(0, 500));
  });
});

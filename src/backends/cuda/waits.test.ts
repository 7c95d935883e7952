import fc from "fast-check";
import { expect, test } from "vitest";
import { earlyOf, type Touch, waitsOf } from "./waits.js";

const touch = (where: number, from: number, to: number, writes = false): Touch => ({ where, from, to, writes });

test("readers of one value run at once, its next writer waits for all of them", () => {
  const make = [touch(0, 0, 64, true)];
  const read = (out: number): Touch[] => [touch(0, 0, 64), touch(1, out, out + 8, true)];
  expect(waitsOf([make, read(0), read(8), read(16), make])).toEqual([[], [0], [0], [0], [1, 2, 3]]);
});
test("parts of a place that do not overlap are nobody's business", () => {
  expect(waitsOf([[touch(-1, 0, 64, true)], [touch(-1, 64, 128, true)], [touch(-1, 60, 70)]])).toEqual([[], [], [0, 1]]);
});
test("a chain waits for its last launch only", () => {
  const step = [touch(2, 0, 4, true)];
  expect(waitsOf([step, step, step])).toEqual([[], [0], [1]]);
});

test("a launch begins early where it waits for one other, and nothing before it writes what it reads until then", () => {
  const [weights, value, state] = [touch(0, 0, 64), touch(-1, 0, 8, true), touch(1, 0, 8, true)];
  const launches = [[weights, value], [touch(-1, 0, 8), weights, state], [weights, touch(1, 0, 8)], [touch(2, 0, 4, true)]];
  const waits = waitsOf(launches);
  expect(waits).toEqual([[], [0], [1], []]);
  expect(earlyOf(launches, waits, [[true, false], [false, true, true], [true, false], []])).toEqual([false, true, true, false]);
  // The second launch writes the state that the third would read too soon; the first writes its value; kernels that do not wait never begin early.
  expect(earlyOf(launches, waits, [[true, false], [true, true, false], [true, true], []])).toEqual([false, false, false, false]);
  expect(earlyOf(launches, waits, [undefined, undefined, [true, false], undefined])).toEqual([false, false, true, false]);
  const joins = [[touch(-1, 0, 4, true)], [touch(-1, 4, 8, true)], [touch(-1, 0, 8)]];
  expect(earlyOf(joins, waitsOf(joins), [[false], [false], [false]])).toEqual([false, false, false]);
});

test("launches that meet are always in order, and no edge is more than it needs", () => {
  const arbitrary = fc.array(
    fc.array(
      fc.record({
        where: fc.integer({ min: 0, max: 2 }),
        from: fc.integer({ min: 0, max: 6 }),
        size: fc.integer({ min: 1, max: 3 }),
        writes: fc.boolean(),
      }),
      { maxLength: 4 },
    ),
    { maxLength: 70 },
  );
  fc.assert(
    fc.property(arbitrary, (list) => {
      const launches = list.map((l) => l.map((t) => touch(t.where, t.from, t.from + t.size, t.writes)));
      const waits = waitsOf(launches);
      const before = waits.map(() => new Set<number>());
      waits.forEach((w, i) => {
        for (const j of w) {
          for (const x of before[j]!) before[i]!.add(x);
          before[i]!.add(j);
        }
      });
      const meets = (i: number, j: number): boolean =>
        launches[i]!.some((x) => launches[j]!.some((y) => x.where === y.where && (x.writes || y.writes) && x.from < y.to && y.from < x.to));
      waits.forEach((w, i) => {
        for (let j = 0; j < i; j++) if (meets(i, j)) expect(before[i]!.has(j)).toBe(true);
        for (const j of w) {
          expect(meets(i, j)).toBe(true);
          expect(w.some((k) => before[k]!.has(j))).toBe(false);
        }
      });
    }),
  );
});

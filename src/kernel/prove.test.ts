/** What is shown of indices by the tests around them; and that nothing is shown which is not so. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { add, type Dim, div, evaluate, type Fact, min, mod, mul, sub, variable } from "../core/expr.js";
import { prover } from "./prove.js";

const shown = (d: Dim, ...facts: Fact[]): boolean => prover(facts, [], new Map())!(d);
const sum = (...terms: Dim[]): Dim => terms.reduce((x, y) => add(x, y));

test("a test of a sum bounds one part for each value of another", () => {
  const [pid, pa, la] = [variable("pid", 0, 3), variable("pa", 0, 36), variable("la", 0, 13)];
  const row = sum(la, mul(pa, 14), mul(pid, 6));
  const index = sum(mul(pid, 65536), mul(div(row, 128), 16384), mul(mod(row, 128), 32), 31 + 3 * 4096);
  const within = sub(262143, index);
  expect(shown(within)).toBe(false);
  expect(shown(within, { a: sum(mul(pa, 14), mul(pid, 518), 13), op: "<", b: 2048 })).toBe(true);
  expect(shown(within, { a: sum(mul(pa, 14), mul(pid, 518), -20), op: "<", b: 2048 })).toBe(false);
});

test("a sum that is less than a symbolic size is its own remainder", () => {
  const [s, pid, lb] = [variable("s", 1, 128), variable("pid", 0, 7), variable("lb", 0, 15)];
  const x = add(lb, mul(pid, 16));
  const within = sub(mul(s, 4), sum(mul(mul(s, 4), div(x, s)), mul(mod(x, s), 4), 4));
  expect(shown(within)).toBe(false);
  expect(shown(within, { a: x, op: "<", b: s })).toBe(true);
  expect(shown(within, { a: sum(mul(pid, 16), 15), op: "<", b: s })).toBe(true);
  expect(shown(within, { a: x, op: "<", b: add(s, 1) })).toBe(false);
});

test("a test of a remainder bounds other quotients of the same sum", () => {
  // Parts of a row of 2304, which begin at 0, 768 and 1536; each is read where it is tested for.
  const [k, pid, l] = [variable("k", 0, 30), variable("pid", 0, 7), variable("l", 0, 63)];
  const block = sum(k, mul(pid, 5), 2);
  const part = mod(div(block, 12), 3);
  const from = (first: number): Fact => ({ a: first - 1, op: "<", b: sum(l, mul(mod(block, 36), 64)) });
  expect(shown(sub(part, 2))).toBe(false);
  expect(shown(sub(part, 2), from(1536))).toBe(true);
  expect(shown(sub(part, 2), from(1535))).toBe(false);
  expect(shown(sub(0, part), { a: mul(mod(block, 36), 64), op: "<", b: 768 })).toBe(true);
  expect(shown(sub(0, part), { a: mul(mod(block, 36), 64), op: "<", b: 769 })).toBe(false);
});

test("a test of a digit that has merged in a quotient bounds it", () => {
  const [tid, pid, lane] = [variable("tid", 0, 255), variable("pid", 0, 95), variable("lane", 0, 3)];
  const row = div(sum(mul(mod(div(pid, 8), 12), 16), mod(tid, 32)), 192);
  const few = (n: number): Fact => ({ a: sum(lane, mul(mod(tid, 32), 4)), op: "<", b: n });
  expect(shown(sub(0, row))).toBe(false);
  expect(shown(sub(0, row), few(64))).toBe(true);
  expect(shown(sub(0, row), few(65))).toBe(false);
});

test("a test of a quotient bounds the sum that is divided", () => {
  const [x, y] = [variable("x", 0, 15), variable("y", 0, 15)];
  const all = sum(mul(x, 16), mul(y, 3));
  const quotient = div(all, 64);
  expect(shown(sub(127, all), { a: quotient, op: "<", b: 2 })).toBe(true);
  expect(shown(sub(126, all), { a: quotient, op: "<", b: 2 })).toBe(false);
  expect(shown(sub(all, 64), { a: 0, op: "<", b: quotient })).toBe(true);
  expect(shown(sub(all, 65), { a: 0, op: "<", b: quotient })).toBe(false);
  expect(shown(sub(all, 64), { a: 1, op: "<", b: mul(quotient, 2) })).toBe(true);
});

test("an axis that is empty for some values of a variable bounds the others", () => {
  const pid = variable("pid", 0, 1);
  const j = variable("j", 0, 1, div(min(sum(mul(pid, -8), 9), 8), 4));
  expect(shown(sub(1, sum(j, mul(pid, 2))))).toBe(true);
  expect(shown(sub(0, sum(j, mul(pid, 2))))).toBe(false);
});

test("random sums under random tests: what is shown holds for all values", () => {
  const vars = [variable("x", 0, 3), variable("y", 0, 4), variable("z", 0, 9), variable("s", 1, 6)] as const;
  const linear = fc
    .tuple(...vars.map(() => fc.integer({ min: -2, max: 3 })), fc.integer({ min: -4, max: 6 }))
    .map(([a, b, c, d, e]) => sum(mul(vars[0], a!), mul(vars[1], b!), mul(vars[2], c!), mul(vars[3], d!), e!));
  const divisor = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(vars[3]));
  const part = fc.oneof(
    linear,
    fc.tuple(linear, divisor, fc.boolean()).map(([a, b, quotient]) => (quotient ? div : mod)(a, b)),
    fc.tuple(linear, divisor).map(([a, b]) => mul(div(a, b), b)),
  );
  const whole = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => sum(...parts));
  const side = fc.oneof(linear, part, fc.constant(vars[3]));
  const fact = fc.tuple(side, side).map(([a, b]): Fact => ({ a, op: "<", b }));
  let proofs = 0;
  fc.assert(
    fc.property(whole, fc.array(fact, { maxLength: 2 }), (d, facts) => {
      const prove = prover(facts, [], new Map());
      const proven = prove ? prove(d) : true;
      if (!proven) return;
      proofs++;
      for (let x = 0; x <= 3; x++)
        for (let y = 0; y <= 4; y++)
          for (let z = 0; z <= 9; z++)
            for (let s = 1; s <= 6; s++) {
              const at = { x, y, z, s };
              if (!facts.every((f) => evaluate(f.a, at) < evaluate(f.b, at))) continue;
              // Facts that contradict each other never hold at once.
              expect(prove).toBeDefined();
              expect(evaluate(d, at)).toBeGreaterThanOrEqual(0);
            }
    }),
    { numRuns: 400, seed: 1 },
  );
  expect(proofs).toBeGreaterThan(40);
});

test("random remainders and quotients of one sum under tests of others of it: their least values are never passed", () => {
  const vars = [variable("x", 0, 3), variable("y", 0, 4), variable("z", 0, 9)] as const;
  const small = fc.integer({ min: -1, max: 4 });
  const whole = fc
    .tuple(small, small, fc.integer({ min: -3, max: 6 }))
    .map(([b, c, d]) => sum(vars[0], mul(vars[1], b), mul(vars[2], c), d));
  const sizes = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 4 }));
  const limits = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.boolean(), fc.integer({ min: -1, max: 9 })), { maxLength: 3 });
  let [exact, known] = [0, 0];
  fc.assert(
    fc.property(whole, sizes, limits, fc.tuple(small, small, small), (a, [p, q], tests, [i, j, k]) => {
      const parts = [mod(a, p * q), div(a, p * q), mod(div(a, p), q)] as const;
      const facts = tests.map(([n, above, end]): Fact => (above ? { a: end, op: "<", b: parts[n]! } : { a: parts[n]!, op: "<", b: end }));
      const d = sum(mul(parts[0], i), mul(parts[1], j), mul(parts[2], k));
      let least = Number.POSITIVE_INFINITY;
      for (let x = 0; x <= 3; x++)
        for (let y = 0; y <= 4; y++)
          for (let z = 0; z <= 9; z++) {
            const at = { x, y, z };
            if (facts.every((f) => evaluate(f.a, at) < evaluate(f.b, at))) least = Math.min(least, evaluate(d, at));
          }
      if (least === Number.POSITIVE_INFINITY) return;
      expect(shown(sub(d, least + 1), ...facts)).toBe(false);
      known++;
      if (shown(sub(d, least), ...facts)) exact++;
    }),
    { numRuns: 400, seed: 1 },
  );
  expect(exact).toBeGreaterThan(0.5 * known);
});

/** What is shown of indices by the tests around them; and that nothing is shown which is not so. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { add, type Dim, div, evaluate, type Fact, mod, mul, sub, variable } from "../core/expr.js";
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
  const fact = fc.tuple(linear, fc.oneof(linear, fc.constant(vars[3]))).map(([a, b]): Fact => ({ a, op: "<", b }));
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

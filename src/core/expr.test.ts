import { describe, expect, test } from "vitest";
import {
  add,
  ceilDiv,
  coefficient,
  type Dim,
  div,
  divides,
  evaluate,
  hi,
  less,
  lo,
  max,
  min,
  mod,
  mul,
  narrow,
  neg,
  nonNegative,
  show,
  stride,
  sub,
  substitute,
  variable,
  variables,
  xor,
} from "./expr.js";
import { parseDim, writeDim } from "./expr-text.js";

const n = variable("n", 1, 256);
const m = variable("m", 1, 256);
const i = variable("i", 0, 255, n);
const j = variable("j", 0, 255, m);
const x = variable("x", 0, 100000);

describe("normal form", () => {
  test("equal expressions are one object", () => {
    expect(add(mul(i, 2), j, 3)).toBe(add(3, j, i, i));
    expect(mul(add(i, 1), add(j, 2))).toBe(add(mul(i, j), mul(i, 2), j, 2));
    expect(sub(add(i, j), i)).toBe(j);
    expect(min(i, j)).toBe(min(j, i));
    expect(variable("k", 4, 4)).toBe(4);
  });
  test("constant divisors", () => {
    expect(div(add(mul(x, 12), 7), 4)).toBe(add(mul(x, 3), 1));
    expect(mod(add(mul(x, 12), 7), 4)).toBe(3);
    const k = variable("k", 0, 3);
    expect(div(add(mul(x, 4), k), 4)).toBe(x);
    expect(mod(add(mul(x, 4), k), 4)).toBe(k);
    expect(div(add(mul(x, 12), mul(variable("y", 0, 9), 4), k), 8)).toBe(div(add(mul(x, 3), variable("y", 0, 9)), 2));
    expect(div(div(x, 4), 8)).toBe(div(x, 32));
    expect(div(mod(x, 32), 4)).toBe(mod(div(x, 4), 8));
    expect(mod(mod(x, 32), 4)).toBe(mod(x, 4));
    expect(div(sub(7, variable("r", 0, 7)), 8)).toBe(0);
    expect(div(-1, 8)).toBe(-1);
    expect(mod(-1, 8)).toBe(7);
  });
  test("what divides both sides of a minimum or a maximum stands before it", () => {
    const rest = min(sub(4096, mul(x, 352)), 352);
    expect(rest).toBe(mul(min(sub(128, mul(x, 11)), 11), 32));
    expect(mod(rest, 16)).toBe(0);
    expect(mul(div(rest, 16), 16)).toBe(rest);
    expect(max(mul(x, 6), mul(n, 4))).toBe(mul(max(mul(x, 3), mul(n, 2)), 2));
  });
  test("symbolic divisors", () => {
    expect(div(n, n)).toBe(1);
    expect(mod(mul(n, m), n)).toBe(0);
    expect(div(add(mul(i, m), j), m)).toBe(i);
    expect(mod(add(mul(i, m), j), m)).toBe(j);
    expect(div(add(mul(x, n), i), n)).toBe(x);
    const k = variable("k", 0, 6);
    const flat = add(mul(add(mul(x, m), j), 7), k);
    expect(div(flat, mul(m, 7))).toBe(x);
    expect(mod(div(flat, 7), m)).toBe(j);
    expect(mod(flat, 7)).toBe(k);
    expect(div(add(mul(x, add(n, 1)), i), add(n, 1))).toBe(x);
    expect(div(mul(x, m), mul(n, m))).toBe(div(x, n));
    expect(div(mul(x, 4), mul(n, 4))).toBe(div(x, n));
  });
  test("quotient and remainder recombine", () => {
    for (const d of [7, n, mul(n, 4), mul(n, m), add(n, 1)] as Dim[]) expect(add(mul(div(x, d), d), mod(x, d))).toBe(x);
    expect(add(mul(mod(div(x, 4), 8), 4), mod(x, 4), mul(div(x, 32), 32))).toBe(x);
    expect(add(mul(div(x, 4), 8), mul(mod(x, 4), 2), 5)).toBe(add(mul(x, 2), 5));
    const f = variable("f", 0, 2 ** 24, mul(n, m));
    // unflatten by [a, n, m], then flatten again
    const flat = add(mul(add(mul(div(x, mul(n, m)), n), mod(div(x, m), n)), m), mod(x, m));
    expect(flat).toBe(x);
    expect(add(mul(div(f, m), m), mod(f, m))).toBe(f);
    expect(mod(div(f, m), n)).toBe(div(f, m));
  });
});

describe("proofs", () => {
  test("below", () => {
    expect(less(add(mul(i, m), j), mul(n, m))).toBe(true);
    expect(less(add(mul(i, m), j), sub(mul(n, m), 1))).toBe(false);
    expect(nonNegative(sub(sub(n, 1), i))).toBe(true);
    expect(nonNegative(sub(n, m))).toBe(false);
    expect(less(add(mul(variable("b", 0, 3), m), j), mul(m, 4))).toBe(true);
  });
  test("tests", () => {
    const t = variable("t", 0, 63);
    const place = add(mul(t, 4), variable("l", 0, 3));
    expect(less(place, n)).toBe(false);
    expect(less(place, n, [{ a: place, op: "<", b: n }])).toBe(true);
    expect(less(add(mul(place, m), j), mul(n, m), [{ a: place, op: "<", b: n }])).toBe(true);
    expect(less(add(mul(place, m), j), mul(n, m), [{ a: place, op: "<", b: m }])).toBe(false);
  });
  test("tails", () => {
    const tile = variable("tile", 0, 63, ceilDiv(n, 4));
    const size = min(4, sub(n, mul(tile, 4)));
    expect(less(add(mul(tile, 4), variable("l", 0, 3, size)), n)).toBe(true);
  });
  test("narrow", () => {
    const p = variable("p", 0, 99);
    const q = variable("q", 0, 99);
    const found = narrow([
      { a: sub(p, 3), op: "<", b: 10 },
      { a: -1, op: "<", b: sub(p, 3) },
      { a: add(q, p), op: "==", b: 12 },
    ])!;
    expect([lo(found.get("p")!), hi(found.get("p")!)]).toEqual([3, 12]);
    expect([lo(found.get("q")!), hi(found.get("q")!)]).toEqual([0, 9]);
    expect(hi(substitute(sub(p, 3), found))).toBe(9);
    expect(narrow([{ a: p, op: "<", b: 0 }])).toBeUndefined();
    const d = narrow([
      { a: div(sub(p, 5), 2), op: "<", b: 4 },
      { a: -1, op: "<", b: div(sub(p, 5), 2) },
    ])!;
    expect([lo(d.get("p")!), hi(d.get("p")!)]).toEqual([5, 12]);
  });
});

describe("questions", () => {
  test("stride and coefficient", () => {
    const e = add(mul(x, 3), mul(i, m), 4);
    expect(stride(e, "x")).toBe(3);
    expect(stride(e, "z")).toBe(0);
    expect(stride(e, "i")).toBeUndefined();
    expect(coefficient(e, "i")).toBe(m);
    expect(coefficient(div(x, 3), "x")).toBeUndefined();
    expect(divides(3, add(mul(x, 3), 9))).toBe(true);
    expect([...variables(e).keys()].sort()).toEqual(["i", "m", "x"]);
  });
  test("substitute follows a map that changes", () => {
    const env = new Map<string, Dim>([["x", 1]]);
    expect(substitute(mul(x, 3), env)).toBe(3);
    env.set("x", 2);
    expect(substitute(mul(x, 3), env)).toBe(6);
    expect(substitute(div(add(mul(i, m), x), m), new Map([["x", j]]))).toBe(i);
  });
  test("bounds stay sane beyond 2^53", () => {
    const big = variable("big", 0, Number.MAX_SAFE_INTEGER);
    const e = mul(big, big);
    expect(lo(e)).toBe(0);
    expect(hi(e)).toBe(Infinity);
    expect(lo(neg(mul(big, 4)))).toBe(-Infinity);
    expect(hi(div(mul(big, 4), 4))).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => mul(mul(big, 2 ** 40), 2 ** 40)).toThrow("2^53");
    expect(div(div(big, 2 ** 40), 2 ** 40)).toBe(0);
    expect(lo(mod(mul(big, -3), 7))).toBe(0);
  });
});

/** Random expressions beside their meaning. */
function fuzz(seed: number, count: number, check: (e: Dim, meaning: (v: Values) => number, v: Values[]) => void): number {
  const random = (k: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return Math.floor(((seed >>> 8) / 2 ** 24) * k);
  };
  const size = { p: variable("p", 1, 6), q: variable("q", 1, 5) };
  const vars: readonly [string, Dim][] = [
    ["p", size.p],
    ["q", size.q],
    ["a", variable("a", 0, 7)],
    ["b", variable("b", -5, 9)],
    ["c", variable("c", 0, 5, size.p)],
    ["d", variable("d", 0, 4, size.q)],
    ["e", variable("e", -9, -1)],
    ["f", variable("f", 0, 29, mul(size.p, size.q))],
  ];
  type Made = readonly [Dim, (v: Values) => number];
  const guard = { zero: false };
  const nonZero = (d: number): number => {
    if (d === 0) guard.zero = true;
    return d || 1;
  };
  const leaf = (): Made => {
    if (random(4) === 0) {
      const k = random(25) - 8;
      return [k, () => k];
    }
    const [name, d] = vars[random(vars.length)]!;
    return [d, (v) => v[name]!];
  };
  const divisor = (depth: number): Made => {
    const k = random(6);
    if (k < 2) {
      const c = 1 + random(12);
      return [c, () => c];
    }
    if (k === 2) return [size.p, (v) => v.p!];
    if (k === 3) return [size.q, (v) => v.q!];
    if (k === 4) {
      const c = 1 + random(4);
      return [mul(mul(size.p, size.q), c), (v) => v.p! * v.q! * c];
    }
    return random(2) ? [add(size.p, 1), (v) => v.p! + 1] : make(depth - 1);
  };
  const make = (depth: number): Made => {
    if (depth <= 0 || random(6) === 0) return leaf();
    const [x, f] = make(depth - 1);
    switch (random(9)) {
      case 0:
      case 1: {
        const [y, g] = make(depth - 1);
        return [add(x, y), (v) => f(v) + g(v)];
      }
      case 2: {
        const [y, g] = make(depth - 1);
        return [sub(x, y), (v) => f(v) - g(v)];
      }
      case 3: {
        const [y, g] = random(2) ? leaf() : divisor(depth);
        return [mul(x, y), (v) => f(v) * g(v)];
      }
      case 4:
      case 5: {
        const [y, g] = divisor(depth);
        return [div(x, y), (v) => Math.floor(f(v) / nonZero(g(v)))];
      }
      case 6:
      case 7: {
        const [y, g] = divisor(depth);
        return [mod(x, y), (v) => f(v) - Math.floor(f(v) / nonZero(g(v))) * g(v)];
      }
      default: {
        const [y, g] = make(depth - 1);
        const kind = random(3);
        if (kind === 0) return [min(x, y), (v) => Math.min(f(v), g(v))];
        if (kind === 1) return [max(x, y), (v) => Math.max(f(v), g(v))];
        if (Math.max(Math.abs(lo(x)), Math.abs(hi(x)), Math.abs(lo(y)), Math.abs(hi(y))) >= 2 ** 31) return [add(x, y), (v) => f(v) + g(v)];
        return [xor(x, y), (v) => f(v) ^ g(v)];
      }
    }
  };
  let compared = 0;
  for (let k = 0; k < count; k++) {
    const [e, f] = make(4);
    const values: Values[] = [];
    for (let t = 0; t < 12; t++) {
      const p = 1 + random(6);
      const q = 1 + random(5);
      const v: Values = { p, q, a: random(8), b: random(15) - 5, c: random(p), d: random(q), e: random(9) - 9, f: random(p * q) };
      guard.zero = false;
      const y = f(v);
      if (guard.zero || Math.abs(y) > 2 ** 50) continue;
      values.push(v);
      compared++;
    }
    check(
      e,
      (v) => {
        guard.zero = false;
        const y = f(v);
        return guard.zero ? Number.NaN : y;
      },
      values,
    );
  }
  return compared;
}
type Values = Record<string, number>;
const rounds = Number(process.env.TREEPIE_FUZZ ?? 40000);

describe("against brute force", () => {
  test(`${rounds} random expressions`, () => {
    const compared = fuzz(42, rounds, (e, f, values) => {
      for (const v of values) {
        const want = f(v);
        const got = evaluate(e, v);
        if (got !== want) expect.fail(`${show(e)} is ${got} instead of ${want} at ${JSON.stringify(v)}`);
        if (want < lo(e) || want > hi(e)) expect.fail(`${show(e)} in [${lo(e)}, ${hi(e)}] is ${want} at ${JSON.stringify(v)}`);
      }
    });
    expect(compared).toBeGreaterThan(rounds * 8);
  });
  test("substitution, text and proofs keep the meaning", () => {
    let last: Dim = 0;
    let lastMeaning: (v: Values) => number = () => 0;
    fuzz(7, Math.ceil(rounds / 8), (e, f, values) => {
      if (typeof e !== "number" && parseDim(writeDim(e)) !== e) expect.fail(`${writeDim(e)} is read as ${writeDim(parseDim(writeDim(e)))}`);
      const env = new Map<string, Dim>([
        ["a", add(variable("c", 0, 5, variable("p", 1, 6)), 1)],
        ["q", 3],
      ]);
      const moved = substitute(e, env);
      const facts = [{ a: e, op: "<" as const, b: last }];
      const inside = narrow(facts);
      for (const v of values) {
        const w = { ...v, a: v.c! + 1, q: 3, d: Math.min(v.d!, 2), f: Math.min(v.f!, v.p! * 3 - 1) };
        const want = f(w);
        // Where a divisor is 0 there is no meaning.
        if (evaluate(moved, w) !== want && Number.isFinite(want) && !hasZero(e, w))
          expect.fail(`${show(e)} -> ${show(moved)}: ${evaluate(moved, w)} instead of ${want} at ${JSON.stringify(w)}`);
        const [p, q] = [f(v), lastMeaning(v)];
        if (nonNegative(e) && p < 0) expect.fail(`${show(e)} is not negative, they say, but ${p} at ${JSON.stringify(v)}`);
        if (less(e, last) && Number.isFinite(q) && !(p < q) && !hasZero(last, v))
          expect.fail(`${show(e)} < ${show(last)}, they say, but ${p} and ${q} at ${JSON.stringify(v)}`);
        if (p < q && !hasZero(last, v)) {
          if (!inside) expect.fail(`${show(e)} < ${show(last)} holds at ${JSON.stringify(v)}`);
          for (const [name, d] of inside!)
            if (v[name]! < lo(d) || v[name]! > hi(d))
              expect.fail(`${show(e)} < ${show(last)}: ${name} in [${lo(d)}, ${hi(d)}] at ${JSON.stringify(v)}`);
        }
      }
      last = e;
      lastMeaning = f;
    });
  });
});
/** A divisor is 0 here. */
function hasZero(e: Dim, v: Values): boolean {
  if (typeof e === "number") return false;
  const atom = (a: (typeof e.terms)[number]["atom"]): boolean => {
    if (a.kind === "var") return false;
    if (a.kind === "prod") return a.factors.some(atom);
    return ((a.kind === "div" || a.kind === "mod") && evaluate(a.b, v) === 0) || hasZero(a.a, v) || hasZero(a.b, v);
  };
  return e.terms.some((t) => atom(t.atom));
}

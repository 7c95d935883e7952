import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InternalError } from "../../../core/errors.js";
import { webAssembly } from "../api.js";
import { driver } from "../driver.js";
import { hasRelaxed } from "../engine.js";
import {
  access,
  accessLane,
  branch,
  type Code,
  choose,
  drop,
  f32,
  f64,
  get,
  i32,
  i32x4,
  i64,
  onLane,
  op,
  repeat,
  select,
  set,
  shuffle,
  unsigned,
} from "./code.js";
import { instructions, type ValType } from "./instructions.js";
import { type Func, Module, withoutSharing } from "./module.js";

const zero: Readonly<Record<ValType, Code>> = { i32: i32(0), i64: i64(0), f32: f32(0), f64: f64(0), v128: i32x4(0) };
/** Any instruction on zeros. */
function sample(name: string): Code {
  const it = instructions.get(name)!;
  const args = it.takes.map((t) => zero[t]);
  switch (it.immediate) {
    case "memory":
      return access(name, 16, ...args);
    case "lane":
      return onLane(name, it.lanes - 1, ...args);
    case "memory lane":
      return accessLane(name, 16, it.lanes - 1, ...args);
    default:
      return op(name, ...args);
  }
}
const moduleOf = (write: (f: Func) => void): Uint8Array => {
  const m = new Module();
  m.add("f", { takes: ["i32", "v128"], gives: undefined }, (f) => {
    write(f);
    return undefined;
  });
  return m.encode();
};

describe("the assembler", () => {
  test("every instruction has the opcode and the types that the engine knows", () => {
    const relaxed = hasRelaxed() ? [] : [...instructions.keys()].filter((n) => n.includes("relaxed"));
    const bad = [...instructions.keys()].filter((name) => {
      if (relaxed.includes(name)) return false;
      const code = sample(name);
      return !webAssembly.validate(moduleOf((f) => f.push(code.type ? drop(code) : code)));
    });
    expect(bad).toEqual([]);
    expect(instructions.size).toBeGreaterThan(250);
  });

  test("what does not fit is refused when it is made", () => {
    expect(() => op("i32.add", i32(1), f32(1))).toThrow(InternalError);
    expect(() => op("i32.add", i32(1))).toThrow(/takes \(i32, i32\) and was given \(i32\)/);
    expect(() => op("i32.plus", i32(1), i32(1))).toThrow(/there is no i32.plus/);
    expect(() => op("i32.load", i32(1))).toThrow(/written otherwise/);
    expect(() => onLane("f32x4.extract_lane", 4, i32x4(0))).toThrow(/no lane 4/);
    expect(() => shuffle(i32x4(0), i32x4(0), [0, 1, 2, 8])).toThrow(InternalError);
    expect(() => select(i32(1), i32x4(0), i32x4(0))).toThrow(InternalError);
    expect(() => choose(i32(1), [i32(1)], [f32(1)])).toThrow(InternalError);
    expect(() => branch(f32(1), [])).toThrow(InternalError);
    expect(() => branch(i32(1), [i32(1)])).toThrow(/leaves i32/);
    expect(() => repeat([], i64(1))).toThrow(InternalError);
    expect(() => set(0, "i32", f64(1))).toThrow(InternalError);
    expect(() => moduleOf((f) => f.push(i32(1)))).toThrow(/leaves i32/);
    expect(() => moduleOf((f) => f.read(99))).toThrow(/no local 99/);
    const m = new Module();
    expect(() => m.add("f", { takes: [], gives: "i32" }, () => undefined)).toThrow(/gives i32 ends with/);
    expect(() => m.callImport("f", "g", { takes: ["f64"], gives: "f64" }, [i32(1)])).toThrow(InternalError);
  });

  test("random functions are valid, and numbers come back", () => {
    const bytes = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(bytes, (n) => {
        const back = unsigned(n).reduceRight((sum, b) => sum * 128 + (b & 127), 0);
        expect(back).toBe(n);
      }),
    );
    const value: fc.Memo<Code> = fc.memo((depth) =>
      depth <= 1
        ? fc.oneof(fc.integer().map(i32), fc.constant(get(0, "i32")))
        : fc.oneof(
            value(),
            fc.tuple(fc.constantFrom("add", "sub", "mul", "xor", "lt_s"), value(), value()).map(([n, a, b]) => op(`i32.${n}`, a, b)),
            fc.tuple(value(), value(), value()).map(([t, a, b]) => select(t, a, b)),
            fc.tuple(value(), value(), value()).map(([t, a, b]) => choose(t, [drop(a), b], [a])),
            value().map((a) => access("i32.load", 8, a)),
          ),
    );
    fc.assert(
      fc.property(value(4), value(3), (a, b) => {
        const made = moduleOf((f) => {
          const x = f.keep(a);
          f.push(branch(x, [f.aside(() => f.write(0, b))[0]!]), repeat([], op("i32.lt_s", x, i32(0))));
        });
        expect(webAssembly.validate(made)).toBe(true);
        expect(webAssembly.validate(withoutSharing(made))).toBe(true);
        expect(webAssembly.validate(made.slice(0, -1))).toBe(false);
      }),
    );
  });

  test("a module of one function gives what it computes; calls, imports and constants", () => {
    const m = new Module();
    m.add("f", { takes: ["i32", "f64"], gives: "f64" }, (f) => {
      const twice = m.call("twice", { takes: ["f64"], gives: "f64" }, [f.read(1)], (g) => op("f64.add", g.read(0), g.read(0)));
      const engine = m.callImport("f", "exp", { takes: ["f64"], gives: "f64" }, [twice]);
      return select(f.read(0), engine, f64(-0.5));
    });
    const memory = new webAssembly.Memory({ initial: 1, maximum: 65536 });
    const { exports } = new webAssembly.Instance(new webAssembly.Module(withoutSharing(m.encode())), {
      m: { memory },
      f: { exp: Math.exp },
    });
    expect(exports["f"]!(1, 1.5)).toBe(Math.exp(3));
    expect(exports["f"]!(0, 1.5)).toBe(-0.5);
  });

  test("the driver is valid", () => {
    expect(webAssembly.validate(driver())).toBe(true);
    expect(webAssembly.validate(withoutSharing(driver()))).toBe(true);
    expect(() => withoutSharing(driver().slice(0, 12))).toThrow(InternalError);
  });
});

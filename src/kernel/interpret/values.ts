/** What scalar values mean, as functions of a thread. */
import { roundValue } from "../../core/convert.js";
import { computeDType, isWide } from "../../core/dtype.js";
import type { Value } from "../kernel.js";
import type { Code } from "./code.js";
import { type Scalar, scalarFunction } from "./scalar.js";
import type { Thread } from "./thread.js";

export type Evaluated = (t: Thread) => Scalar;

export function value(code: Code, v: Value): Evaluated {
  switch (v.kind) {
    case "const": {
      const x = roundValue(computeDType(v.dtype), v.value);
      return () => x;
    }
    case "index": {
      const [index, { dtype }] = [code.index(v.expr), v];
      return isWide(dtype) ? (t) => roundValue(dtype, BigInt(index(t))) : (t) => roundValue(dtype, index(t));
    }
    case "load":
      return code.read(v);
    case "word": {
      const [word, index] = [code.wordReader(v.buffer), code.index(v.index)];
      return (t) => word(t, index(t));
    }
    case "ref": {
      const slot = code.valueSlot(v.name);
      return (t) => {
        const x = t.values[slot];
        if (x === undefined) throw code.fault(`${v.name} is used before its let`);
        return x;
      };
    }
    case "select": {
      const tests = v.tests.map((x) => code.test(x));
      const [yes, no] = [value(code, v.then), value(code, v.else)];
      return (t) => (tests.every((x) => x(t)) ? yes(t) : no(t));
    }
    case "op": {
      const dtypes = v.args.map((a) => a.dtype);
      const f = scalarFunction(v.op, v.dtype, dtypes);
      const [a, b, c] = v.args.map((x) => value(code, x)) as [Evaluated, Evaluated?, Evaluated?];
      if (!b) return (t) => f(a(t), 0, 0);
      return c ? (t) => f(a(t), b(t), c(t)) : (t) => f(a(t), b(t), 0);
    }
    default:
      return v satisfies never;
  }
}

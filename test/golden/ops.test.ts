/** One call of each function of the ops layer, its values and gradients, against what PyTorch gave (tools/goldens/ops.py). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { vjp } from "../../src/autodiff/grad.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { type DType, isFloat } from "../../src/core/dtype.js";
import { hostData, NdArray } from "../../src/core/ndarray.js";
import type { Node } from "../../src/ir/node.js";
import * as ops from "../../src/ops/index.js";
import { ulp } from "../conformance/agree.js";

type Saved = { readonly dtype: DType; readonly shape: readonly number[]; readonly data: readonly (number | string)[] };
interface Golden {
  readonly call: string;
  readonly inputs: readonly Saved[];
  readonly throws?: true;
  readonly outputs?: readonly Saved[];
  readonly cotangent?: Saved;
  readonly gradients?: readonly (Saved | null)[];
}
const file = JSON.parse(readFileSync(new URL("./ops.json", import.meta.url), "utf8")) as {
  cases: Golden[];
  promote: Record<string, DType>;
  result: Record<string, DType>;
};
const words: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY, "-0": -0 };
function load({ dtype, shape, data }: Saved): NdArray {
  const out = hostData(dtype, data.length);
  data.forEach((v, i) => {
    out[i] = dtype === "i64" ? BigInt(v) : typeof v === "string" ? words[v]! : v;
  });
  return new NdArray(dtype, shape, out);
}

/** Where two arrays differ by more than 8 ulp; 0 and -0 are equal, since PyTorch itself chooses between them by vector width. */
function difference(got: NdArray, want: NdArray): string | undefined {
  if (got.dtype !== want.dtype || String(got.shape) !== String(want.shape))
    return `${got.dtype}[${got.shape}], not ${want.dtype}[${want.shape}]`;
  for (let i = 0; i < want.data.length; i++) {
    const [a, b] = [got.data[i]!, want.data[i]!];
    if (a === b || Object.is(a, b)) continue;
    const close = isFloat(want.dtype) && Math.abs(Number(a) - Number(b)) <= 8 * Math.max(ulp(Number(b), want.dtype), 2 ** -26);
    if (!close) return `element ${i} is ${a}, not ${b}`;
  }
  return undefined;
}
const names = Object.keys(ops);
/** Runs the text of a call. */
function call(text: string, inputs: readonly Node[]): Node[] {
  const run = new Function(...names, "a", "b", "c", "d", `return ${text}`) as (...all: unknown[]) => Node | Node[];
  const got = run(...Object.values(ops), ...inputs, ...new Array(4 - inputs.length));
  return Array.isArray(got) ? got : [got];
}

function problem(g: Golden): string | undefined {
  const feeds = new Map<Node, NdArray>();
  const inputs = g.inputs.map((saved) => {
    const value = load(saved);
    const node = ops.input({ shape: value.shape, dtype: value.dtype });
    feeds.set(node, value);
    return node;
  });
  let made: Node[];
  try {
    made = call(g.call, inputs);
    if (!g.outputs) return undefined;
  } catch (error) {
    return g.throws ? undefined : `throws ${error}`;
  }
  const got = interpret(made, feeds);
  for (let i = 0; i < g.outputs.length; i++) {
    const why = difference(got[i]!, load(g.outputs[i]!));
    if (why) return `result ${i}: ${why}`;
  }
  if (!g.gradients) return undefined;
  const out = made.find((n) => isFloat(n.type.dtype))!;
  const ct = ops.input(out.type);
  feeds.set(ct, load(g.cotangent!));
  const wrt = inputs.filter((x) => isFloat(x.type.dtype));
  const grads = vjp([out], [ct], wrt);
  for (let i = 0; i < wrt.length; i++) {
    const want = g.gradients[i] ? load(g.gradients[i]!) : undefined;
    const own = grads[i] ? interpret([grads[i]!], feeds)[0]! : undefined;
    // No gradient and a gradient of zeros are the same answer.
    const zeros = (v: NdArray | undefined): boolean => !v || v.data.every((e) => Number(e) === 0);
    const why = want && own ? difference(own, want) : zeros(want ?? own) ? undefined : "one has a gradient and the other has none";
    if (why) return `gradient ${i}: ${why}`;
  }
  return undefined;
}

describe("PyTorch's values and gradients", () => {
  const groups = new Map<string, Golden[]>();
  for (const g of file.cases) {
    const name = /^(?:Object\.values\()?(\w+)/.exec(g.call)![1]!;
    groups.set(name, [...(groups.get(name) ?? []), g]);
  }
  for (const [name, cases] of groups)
    test(name, () => {
      const wrong = cases.flatMap((g) => {
        const why = problem(g);
        return why ? [`${g.call} of ${g.inputs.map((x) => `${x.dtype}[${x.shape}]`).join(", ")}: ${why}`] : [];
      });
      expect(wrong).toEqual([]);
    });
});

describe("PyTorch's promotion", () => {
  test("of two dtypes", () => {
    for (const [pair, want] of Object.entries(file.promote)) {
      const [a, b] = pair.split(" ") as [DType, DType];
      expect(ops.promoteTypes(a, b), pair).toBe(want);
    }
  });
  test("of tensors, rank-0 tensors and literals", () => {
    const operand = (text: string): ops.Operand => {
      const m = /^(\w+)\[(2?)\]$/.exec(text);
      return m ? ops.input({ shape: m[2] ? [2] : [], dtype: m[1] as DType }) : text === "true" ? true : Number(text);
    };
    for (const [pair, want] of Object.entries(file.result)) {
      const [a, b] = pair.split(" ") as [string, string];
      expect(ops.resultType(operand(a), operand(b)), pair).toBe(want);
    }
  });
});

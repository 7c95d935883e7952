/** Finds gelu by tanh among scalar operations: equal formulas are equal sums and products, in whatever order they stand. */
import { isFloat } from "../../core/dtype.js";
import type { Node } from "../../ir/node.js";
import { gelu } from "../../ops/activation.js";
import { castOp } from "../../ops/cast.js";
import { constantOp, input } from "../../ops/source.js";

/** Most operations of a formula that is looked at. */
const most = 64;

/** The formula of a node over `x`: sums and products with their operands sorted; undefined where it is anything else, or too long. */
function formula(n: Node, x: Node): string | undefined {
  let count = 0;
  const known = new Map<Node, string | undefined>();
  const of = (y: Node): string | undefined => {
    if (y === x) return "x";
    if (!known.has(y)) {
      known.set(y, undefined);
      known.set(y, ++count > most ? undefined : made(y));
    }
    return known.get(y);
  };
  const made = (y: Node): string | undefined => {
    if ((y.op as unknown) === constantOp) return String(Number(Number(y.attrs["value"]).toPrecision(6)));
    if (y.op.kind === "movement" || ((y.op as unknown) === castOp && isFloat(y.type.dtype)))
      return y.inputs.length === 1 ? of(y.inputs[0]!) : undefined;
    if (y.op.scalar === "tanh") return wrap("tanh", [of(y.inputs[0]!)]);
    if (y.op.scalar === "add") return wrap("add", y.inputs.map(of));
    return y.op.scalar === "mul" ? product(y) : undefined;
  };
  /** Factors of factors are factors; numbers are one number. */
  const product = (y: Node): string | undefined => {
    const factors: (string | undefined)[] = [];
    let by = 1;
    const take = (z: Node): void => {
      const through = z !== x && (z.op.kind === "movement" || (z.op as unknown) === castOp) && z.inputs.length === 1 ? z.inputs[0]! : z;
      if (through !== z) take(through);
      else if (z !== x && z.op.scalar === "mul") for (const i of z.inputs) take(i);
      else if (z !== x && (z.op as unknown) === constantOp) by *= Number(z.attrs["value"]);
      else factors.push(of(z));
    };
    take(y);
    return wrap("mul", [...factors, String(Number(by.toPrecision(6)))]);
  };
  const wrap = (name: string, parts: readonly (string | undefined)[]): string | undefined =>
    parts.every((p) => p !== undefined) ? `${name}(${[...parts].sort().join()})` : undefined;
  return of(n);
}

let wanted: string | undefined;
/** The formula of gelu by tanh, as its op is decomposed. */
function geluFormula(): string {
  if (wanted === undefined) {
    const x = input({ shape: [2], dtype: "f32" });
    const y = gelu(x, { approximate: "tanh" });
    wanted = formula(y.op.decompose!(y, [x]) as Node, x)!;
  }
  return wanted;
}

/** The operand of gelu by tanh where `n` is its result; `among` holds the candidates. */
export function geluOf(n: Node, among: ReadonlySet<Node>): Node | undefined {
  if (n.op.scalar !== "mul") return undefined;
  for (const x of n.inputs) if (among.has(x) && formula(n, x) === geluFormula()) return x;
  return undefined;
}

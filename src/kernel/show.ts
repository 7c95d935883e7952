/** A kernel as readable text. */
import { type Dim, show } from "../core/expr.js";
import type { Kernel, Ref, Stmt, Test, Value } from "./kernel.js";

/** A kernel as indented lines. */
export function showKernel(k: Kernel): string {
  const lines = [
    `kernel ${k.name}(${k.dims.map(dim).join(", ")}) grid ${dim(k.grid)} threads ${k.threads}`,
    ...k.buffers.map(
      (b) =>
        `  ${b.space}${b.writes ? " write" : ""} ${b.name}: ${b.dtype}[${dim(b.size)}]${b.window ? ` chunks ${b.window.first} to ${b.window.first + b.window.count - 1}` : ""}`,
    ),
  ];
  const block = (body: readonly Stmt[], depth: number): void => {
    for (const s of body) statement(s, depth);
  };
  const put = (depth: number, text: string): number => lines.push(`${"  ".repeat(depth)}${text}`);
  const either = (head: string, s: { readonly body: readonly Stmt[]; readonly else?: readonly Stmt[] }, depth: number): void => {
    put(depth, head);
    block(s.body, depth + 1);
    if (s.else?.length) {
      put(depth, "else");
      block(s.else, depth + 1);
    }
  };
  function statement(s: Stmt, depth: number): void {
    switch (s.kind) {
      case "for":
        put(depth, `${s.axis.kind} ${s.axis.name} < ${dim(s.axis.size)}`);
        block(s.body, depth + 1);
        return;
      case "if":
        either(`if ${test(s.test)}`, s, depth);
        return;
      case "when":
        either(`when ${showValue(s.test)}`, s, depth);
        return;
      case "let":
        put(depth, `${s.name}: ${s.value.dtype} = ${showValue(s.value)}`);
        return;
      case "letIndex":
        put(depth, `${s.name} = clamp(${showValue(s.value)}, ${s.min}, ${dim(s.max)})`);
        return;
      case "store":
        put(depth, `${place(s)} = ${showValue(s.value)}${s.hint ? ` (${s.hint})` : ""}`);
        return;
      case "atomic":
        put(depth, `${place(s)} ${s.op}= ${showValue(s.value)} (atomic)`);
        return;
      case "combine":
        put(
          depth,
          `${place(s.into)} = ${s.op} of ${showValue(s.value)} over [${s.axes.map((a) => `${a.kind} ${a.name} < ${dim(a.size)}`).join(", ")}] and ${s.threads} threads`,
        );
        return;
      case "prefetch":
        put(depth, `prefetch ${s.count ? `${s.count} from ` : ""}${place(s)}${s.second ? " into the second cache" : ""}`);
        return;
      case "barrier":
        put(depth, s.warp ? "barrier of a warp" : "barrier");
        return;
      case "copy":
        put(depth, `copy ${s.count} from ${place(s.from)} to ${place(s.to)}`);
        return;
      case "turn":
        put(depth, `turn ${s.rows} rows at ${place(s.from)} stride ${dim(s.fromStride)} into ${place(s.to)} stride ${dim(s.toStride)}`);
        return;
      case "commit":
        put(depth, "commit");
        return;
      case "dependency":
        put(depth, s.op === "await" ? "await the launches before" : "release the launches behind");
        return;
      case "wait":
        put(depth, `wait ${s.pending}`);
        return;
      case "registers":
        put(depth, `${s.change} registers: ${s.count}`);
        return;
      case "copyTile":
        put(
          depth,
          `copy tile ${s.box.join(" x ")} of ${s.from} (rows of ${s.columns}) at ${s.origin.map(dim).join(", ")} to ${place(s.to)}, signal ${place(s.signal)}`,
        );
        return;
      case "signal":
        put(depth, `${s.op} ${place(s.on)} ${dim(s.amount)}`);
        return;
      case "fill":
        put(depth, `${s.unit.name} fill ${place(s.acc)}`);
        return;
      case "fetch":
        put(
          depth,
          `${s.unit.name} fetch ${s.count} into ${place(s.into)} from ${place(s.from)} stride ${dim(s.stride)}${s.transposed ? " transposed" : ""}${s.hint ? ` (${s.hint})` : ""}`,
        );
        return;
      case "mma":
        put(depth, `${s.unit.name} ${place(s.acc)} ${s.fresh ? "=" : "+="} ${place(s.a)} * ${place(s.b)}`);
        return;
      case "spill":
        put(depth, `${s.unit.name} spill ${place(s.acc)} to ${place(s.to)} stride ${dim(s.stride)}`);
        return;
      case "issue":
        put(depth, `${s.unit.name} issue`);
        block(s.body, depth + 1);
        return;
      case "settle":
        put(depth, `${s.unit.name} settle ${s.pending}${s.of ? ` for ${place(s.of)}` : ""}`);
        return;
      default:
        s satisfies never;
    }
  }
  block(k.body, 1);
  return `${lines.join("\n")}\n`;
}
const dim = (d: Dim): string => show(d);
const place = (r: Ref): string => `${r.buffer}[${dim(r.index)}]`;
const test = (t: Test): string => `${dim(t.a)} ${t.op} ${dim(t.b)}`;
/** A value as an expression. */
export function showValue(v: Value): string {
  switch (v.kind) {
    case "const":
      return `${Object.is(v.value, -0) ? "-0" : v.value}`;
    case "index":
      return `${v.dtype}(${dim(v.expr)})`;
    case "load":
      return `${v.buffer}[${dim(v.index)}]`;
    case "word":
      return `${v.buffer}[${dim(v.index)}...]`;
    case "ref":
      return v.name;
    case "select":
      return `(${v.tests.map(test).join(" and ")} ? ${showValue(v.then)} : ${showValue(v.else)})`;
    case "op":
      return `${v.op}${v.op === "cast" || v.op === "bitcast" ? `:${v.dtype}` : ""}(${v.args.map(showValue).join(", ")})`;
    default:
      return v satisfies never;
  }
}

/** A library's call as a program has it. */
import type { Matrix, Product } from "../../runtime/program.js";
import type { Kernel } from "../kernel.js";
import type { Call } from "./call.js";

/** The call, with the buffers of the kernel that it stands in for. */
export function productOf(library: Product["library"], call: Call, kernel: Kernel): Product {
  const names = kernel.buffers.filter((b) => b.space === "global").map((b) => b.name);
  const argument = (x: { readonly buffer: string }): number => names.indexOf(x.buffer);
  const matrix = (x: NonNullable<Call["c"]>): Matrix => {
    const { offset, row, each, turned } = x;
    return { argument: argument(x), offset, row, each, ...(turned && { turned }) };
  };
  const { a, b, c, d, bias, ...rest } = call;
  return {
    library,
    ...rest,
    a: matrix(a),
    b: matrix(b),
    d: matrix(d),
    ...(c && { c: matrix(c) }),
    ...(bias && { bias: { argument: argument(bias), offset: bias.offset } }),
  };
}

/**
 * Direct convolution: a grid point copies the rows of the padded input that it needs to scratch, and sums up blocks of positions by
 * output channels in registers. Output channels are lanes, so that any stride and dilation is a matter of where a number is broadcast from.
 */
import { add, type Dim, div, mod, mul } from "../../../core/expr.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { at, axis, type Kernel, load, loops, type Stmt, store } from "../../kernel.js";
import { emptyKernel, finishKernel } from "../../walk.js";
import { blocks, type ConvSizes, digitsOf, leaveRows, product, setUp, stage } from "./setup.js";
import { stagedColumns, stagedRows, tileDirect } from "./tiling.js";
import { weights } from "./weights.js";

export function lowerDirect(group: Group, target: Target, sizes: ConvSizes): readonly Kernel[] {
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const x = setUp(group, target, sizes);
  const t = tileDirect(sizes, x.dtype, target);
  const w = weights(x, {
    node: group.root!.inputs[1]!,
    terms: [...sizes.kernel, sizes.channels],
    index: (channel, [r, s, c]) => (sizes.spatial === 1 ? [channel, c!, s!] : [channel, c!, r!, s!]),
  });
  const digits: Stmt[] = [];
  const shares = x.panels / t.panels;
  const where = digitsOf(x, [sizes.groups, shares, Math.ceil(sizes.rows / t.rows)], digits);
  const [g, share, band] = where.digits as [Dim, Dim, Dim];
  const first = mul(band, t.rows);
  const columns = stagedColumns(sizes);
  const rows = stagedRows(sizes, t.rows);
  const { staged, body } = stage(x, where.batch, mul(first, sizes.stride[0]), g, rows, columns);
  const sums = x.scratch("sums", t.high * sizes.columns * x.panel);
  const P = axis(x.name("panel"), t.panels, "loop");
  const panel = add(mul(share, t.panels), at(P));

  const R = axis(x.name("r"), sizes.kernel[0], "loop");
  const S = axis(x.name("s"), sizes.kernel[1], "loop");
  const C = axis(x.name("c"), sizes.channels, sizes.channels <= 4 ? "unroll" : "loop");
  const from = (row: Dim, column: Dim): Dim => {
    const h = add(mul(row, sizes.stride[0]), mul(at(R), sizes.dilation[0]));
    const v = add(mul(column, sizes.stride[1]), mul(at(S), sizes.dilation[1]));
    return add(mul(add(mul(h, columns), v), staged.pitch), at(C));
  };
  /** Blocks of `high` rows: row by row of the block, column by column. */
  const bandOf = (stem: string, row: Dim, high: number): readonly Stmt[] => [
    ...blocks(x, `${stem}_w`, sizes.columns, t.wide, (inner, column, wide) =>
      product(x, {
        stem: inner,
        positions: high * wide,
        axes: [R, S, C],
        a: (i) => load(staged.buffer, from(add(row, div(i, wide)), add(column, mod(i, wide)))),
        b: (lane, into) => w.read(g, panel, [at(R), at(S), at(C)], lane, into),
        leave: (i, lane, value) => [
          store(sums, add(mul(add(mul(div(i, wide), sizes.columns), column, mod(i, wide)), x.panel), lane), value),
        ],
      }),
    ),
    ...leaveRows(x, { stem, from: sums, pitch: sizes.columns, rows: high, first: add(first, row), batch: where.batch, group: g, panel }),
  ];
  const all = [...digits, ...body, ...loops([P], blocks(x, "rows", t.rows, t.high, bandOf))];
  const main = finishKernel(group.name, [...x.buffers.values(), ...w.buffers, ...x.made()], where.grid, 1, all);
  return [...w.pack, main];
}

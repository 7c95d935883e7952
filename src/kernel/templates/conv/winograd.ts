/**
 * Winograd's convolution in one kernel: a grid point forms its tiles of the padded input in scratch, multiplies them with the formed
 * weights one point of the forms at a time, and forms the results of a panel of output channels. Channels are lanes throughout.
 */
import { add, type Dim, div, mod, mul } from "../../../core/expr.js";
import { winogradForms } from "../../../ops/winograd.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { at, axis, type Kernel, load, loops, type Stmt, store } from "../../kernel.js";
import { emptyKernel, finishKernel } from "../../walk.js";
import { blocks, type ConvSizes, digitsOf, leaveRows, pitchOf, product, setUp, spans, stage } from "./setup.js";
import { tileWinograd } from "./tiling.js";
import { transformed } from "./transform.js";
import { weights } from "./weights.js";

export function lowerWinograd(group: Group, target: Target, sizes: ConvSizes): readonly Kernel[] {
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const x = setUp(group, target, sizes);
  const size = group.root!.attrs.size as 2 | 4;
  const forms = winogradForms(size);
  const tile = size + 2;
  const points = tile * tile;
  const t = tileWinograd(sizes, size, x.dtype, target);
  const across = Math.ceil(sizes.columns / size);
  const tiles = t.rows * across;
  const w = weights(x, {
    node: group.root!.inputs[1]!,
    terms: [points, sizes.channels],
    index: (channel, [point, c]) => [point!, c!, channel],
  });
  const digits: Stmt[] = [];
  const bands = Math.ceil(Math.ceil(sizes.rows / size) / t.rows);
  const where = digitsOf(x, [x.panels / t.panels, bands], digits);
  const [share, band] = where.digits as [Dim, Dim];
  const first = mul(band, t.rows * size);
  const columns = across * size + 2;
  const { staged, body } = stage(x, where.batch, first, 0, t.rows * size + 2, columns);

  const pitch = pitchOf(sizes.channels, x.vector);
  const formed = x.scratch("formed", points * tiles * pitch);
  const sums = x.scratch("sums", points * tiles * x.panel);
  const out = x.scratch("out", size * across * size * x.panel);
  const T = axis(x.name("tile"), tiles, "loop");
  const corner = mul(add(mul(div(at(T), across), columns), mod(at(T), across)), size);
  const form = loops(
    [T],
    spans(x, "channel", sizes.channels, (c) =>
      transformed(x, forms.input, {
        read: (i, j) => load(staged.buffer, add(mul(add(corner, i * columns + j), staged.pitch), c)),
        write: (i, j, v) => store(formed, add(mul(add((i * tile + j) * tiles, at(T)), pitch), c), v),
      }),
    ),
  );

  const P = axis(x.name("panel"), t.panels, "loop");
  const panel = add(mul(share, t.panels), at(P));
  const X = axis(x.name("point"), points, "loop");
  const C = axis(x.name("c"), sizes.channels, "loop");
  const multiply = loops(
    [X],
    blocks(x, "tiles", tiles, t.tiles, (stem, from, positions) =>
      product(x, {
        stem,
        positions,
        axes: [C],
        a: (i) => load(formed, add(mul(add(mul(at(X), tiles), from, i), pitch), at(C))),
        b: (lane, into) => w.read(0, panel, [at(X), at(C)], lane, into),
        leave: (i, lane, v) => [store(sums, add(mul(add(mul(at(X), tiles), from, i), x.panel), lane), v)],
      }),
    ),
  );
  const D = axis(x.name("down"), t.rows, "loop");
  const A = axis(x.name("across"), across, "loop");
  const here = add(mul(at(D), across), at(A));
  const backs = transformed(x, forms.output, {
    read: (i, j) => load(sums, add(mul(add((i * tile + j) * tiles, here), x.panel), x.lane)),
    write: (i, j, v) => store(out, add(mul(add(i * across * size + j, mul(at(A), size)), x.panel), x.lane), v),
  });
  const leave = loops(
    [D],
    [
      ...loops([A], loops([x.J, x.L], backs)),
      ...leaveRows(x, {
        stem: "leave",
        from: out,
        pitch: across * size,
        rows: size,
        first: add(first, mul(at(D), size)),
        batch: where.batch,
        group: 0,
        panel,
      }),
    ],
  );
  const all = [...digits, ...body, ...form, ...loops([P], [...multiply, ...leave])];
  const main = finishKernel(group.name, [...x.buffers.values(), ...w.buffers, ...x.made()], where.grid, 1, all);
  return [...w.pack, main];
}

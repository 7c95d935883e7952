/** Tiles of queries, keys and values on their way to shared memory: one thread asks for them as soon as their places are free. */
import { bytesOf } from "../../../../core/dtype.js";
import { add, type Dim, div, min, mod, mul, sub } from "../../../../core/expr.js";
import { at, axis, type Buffer, below, loops, ref, type Stmt } from "../../../kernel.js";
import type { Attention } from "../setup.js";
import type { TileRows } from "./tile.js";
import { type BackgroundTiling, swizzled } from "./tiling.js";

/** What is delivered: `places` of it are on their way or in use. */
interface Goods {
  readonly tile: Buffer;
  /** How many elements one place has. */
  readonly size: number;
  /** Signals of each place: it holds a tile, and everybody is done with it. */
  readonly full: Buffer;
  readonly empty: Buffer;
}
export interface Delivery {
  readonly queries: Buffer;
  readonly keys: Goods;
  readonly values: Goods;
  readonly buffers: readonly Buffer[];
  /** By one thread, before anything else: `workers` warps are done with a tile one by one. */
  arm(workers: number): readonly Stmt[];
  /** By one thread, for all tiles of a grid point. */
  readonly feed: readonly Stmt[];
  readonly queriesReady: Stmt;
  ready(of: Goods, block: Dim): Stmt;
  /** By each warp. */
  done(of: Goods, block: Dim, lane: Dim): Stmt;
  /** Where a block's tile begins. */
  place(of: Goods, block: Dim): Dim;
  /** The first key of a block: the last one ends with the keys, and begins among those of the block before, so that nothing behind them is read. */
  firstKey(block: Dim): Dim;
}

/** Deliveries of operands `from`: queries of head `head` from `q0` on, and `count` blocks of keys and values of head `keyHead`. */
export function deliver(
  x: Attention,
  t: BackgroundTiling,
  from: readonly [queries: TileRows, keys: TileRows, values: TileRows],
  o: { readonly head: readonly Dim[]; readonly keyHead: readonly Dim[]; readonly q0: Dim; readonly count: Dim },
): Delivery {
  const { keys: BC, queries: BR, slots } = t;
  const { width } = x;
  const dtype = x.group.root!.inputs[0]!.type.dtype;
  const shared = (name: string, size: number): Buffer => ({ name, dtype, space: "shared", size });
  const signal = (name: string, size: number): Buffer => ({ name, dtype: "u32", space: "signal", size });
  const goods = (stem: string): Goods => ({
    tile: shared(`${stem}S`, slots * BC * width),
    size: BC * width,
    full: signal(`${stem}Full`, slots),
    empty: signal(`${stem}Empty`, slots),
  });
  const [queries, full, keys, values] = [shared("qS", BR * width), signal("qFull", 1), goods("k"), goods("v")];
  const slot = (b: Dim): Dim => mod(b, slots);
  const round = (b: Dim): Dim => div(b, slots);
  const firstKey = (b: Dim): Dim => min(mul(b, BC), sub(x.keys, BC));

  /** Rows are copied in parts of a swizzled row: a tile has those of all rows one after the other. */
  const move = (source: TileRows, head: readonly Dim[], row: Dim, rows: number, to: Buffer, start: Dim, on: Buffer, which: Dim): Stmt[] => {
    const [down, across] = source.origin(head, row);
    return [
      { kind: "signal", op: "expect", on: ref(on, which), amount: rows * width * bytesOf(dtype) },
      ...Array.from(
        { length: width / swizzled },
        (_, part): Stmt => ({
          kind: "copyTile",
          to: ref(to, add(start, part * rows * swizzled)),
          from: source.buffer,
          origin: [down, add(across, part * swizzled)],
          box: [rows, swizzled],
          columns: source.columns,
          signal: ref(on, which),
        }),
      ),
    ];
  };
  const wait = (on: Buffer, which: Dim, phase: Dim): Stmt => ({ kind: "signal", op: "await", on: ref(on, which), amount: phase });
  const B = axis(x.name("fed"), o.count, "loop");
  const refill = (g: Goods, source: TileRows): Stmt[] => [
    // A place that nothing was in yet is as one that was left the round before.
    wait(g.empty, slot(at(B)), mod(add(round(at(B)), 1), 2)),
    ...move(source, o.keyHead, firstKey(at(B)), BC, g.tile, mul(slot(at(B)), g.size), g.full, slot(at(B))),
  ];
  const S = axis(x.name("slot"), slots, "unroll");
  const arm = (on: Buffer, place: Dim, amount: number): Stmt => ({ kind: "signal", op: "arm", on: ref(on, place), amount });
  return {
    queries,
    keys,
    values,
    buffers: [queries, keys.tile, values.tile, full, ...[keys, values].flatMap((g) => [g.full, g.empty])],
    arm: (workers) => [
      arm(full, 0, 1),
      ...loops(
        [S],
        [keys, values].flatMap((g) => [arm(g.full, at(S), 1), arm(g.empty, at(S), workers)]),
      ),
    ],
    feed: [...move(from[0], o.head, o.q0, BR, queries, 0, full, 0), ...loops([B], [...refill(keys, from[1]), ...refill(values, from[2])])],
    queriesReady: wait(full, 0, 0),
    ready: (g, b) => wait(g.full, slot(b), mod(round(b), 2)),
    done: (g, b, lane) => ({
      kind: "if",
      test: below(lane, 1),
      body: [{ kind: "signal", op: "arrive", on: ref(g.empty, slot(b)), amount: 1 }],
    }),
    place: (g, b) => mul(slot(b), g.size),
    firstKey,
  };
}

/**
 * Attention of few queries on GPUs, as in decoding: a grid point is one head of keys, or a share of its keys. Groups of threads take keys
 * in turn, each with a running softmax of its own; at the end what the groups found is put together. Loops end where the device says.
 */
import { bytesOf } from "../../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, indexOn, lo, max, min, mod, mul, sub, variable } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import { flatten, unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import { type Group, hasElements } from "../../../group.js";
import {
  apply,
  at,
  axis,
  type Buffer,
  below,
  indexValue,
  type Kernel,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Value,
} from "../../../kernel.js";
import { emptyKernel, finishKernel } from "../../../walk.js";
import { type Attention, given, named, seen, setUp, standing } from "../setup.js";
import { copiedCaches, freshOf, isCached, ofOld, putFresh, stageFresh, takeFresh } from "./cached.js";
import { type FewTiling, tileFew } from "./tiling.js";

const log2e = Math.LOG2E;
/** What several groups of threads, or grid points, found: sums of values, greatest exponents, sums of weights. */
interface Found {
  readonly count: number;
  readonly sums: Buffer;
  readonly tops: Buffer;
  readonly totals: Buffer;
  /** Where tops and totals begin, if not in arrays of their own. */
  readonly tops0?: Dim;
  readonly totals0?: Dim;
  /** The number of group `g`. */
  at(g: Dim): Dim;
}

/** One kernel; two where the keys of a head are shared out. */
export function lowerFew(group: Group, target: Target): readonly Kernel[] {
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const x = setUp(group, target);
  const t = tileFew(group.root!, target)!;
  const heads = x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : [];
  const rows = x.shared * (x.queries as number);
  const tid = variable("tid", 0, t.threads - 1);
  const grid = mul(numel(heads), t.splits);
  const pid = grid === 1 ? 0 : indexOn("pid", grid);
  const groups = t.threads / t.across;
  const shared = (name: string, size: number): Buffer => ({ name, dtype: x.dtype, space: "shared", size });
  const own: Found = {
    count: groups,
    sums: shared("sums", groups * rows * x.depth),
    tops: shared("tops", groups * rows),
    totals: shared("totals", groups * rows),
    at: (g) => g,
  };
  const queries = shared("queries", rows * x.depth);
  if (isCached(group)) return lowerCached(x, t, { heads, rows, pid, tid, queries, own, grid });
  const body = sweep(x, t, { heads, rows, pid, tid, queries, own });
  const make = (name: string, points: Dim, stmts: readonly Stmt[], between: readonly Buffer[] = []): Kernel =>
    finishKernel(name, [...x.buffers.values(), ...between, queries, own.sums, own.tops, own.totals, ...x.made()], points, t.threads, stmts);
  if (t.splits === 1)
    return [make(group.name, grid, [...body, ...merge(x, t, { heads, rows, number: pid, tid, found: own, to: undefined })])];
  const part = (i: number, size: Dim): Buffer => ({ name: `tmp${i}`, dtype: x.dtype, space: "global", size, writes: true });
  const all = mul(grid, rows);
  const parts = { sums: part(0, mul(all, x.depth)), tops: part(1, all), totals: part(2, all) };
  const between = Object.values(parts);
  const number = numel(heads) === 1 ? 0 : indexOn("pid", numel(heads));
  const shares: Found = { ...parts, count: t.splits, at: (g) => add(mul(number, t.splits), g) };
  return [
    make(
      group.name,
      grid,
      [...body, ...merge(x, t, { heads, rows, number: pid, tid, found: own, to: { ...parts, count: t.splits, at: () => pid } })],
      between,
    ),
    make(`${group.name}_join`, numel(heads), merge(x, t, { heads, rows, number, tid, found: shares, to: undefined }), between),
  ];
}

interface Sweep {
  readonly heads: readonly Dim[];
  readonly rows: number;
  readonly pid: Dim;
  readonly tid: Dim;
  readonly queries: Buffer;
  readonly own: Found;
}

/** A step of decoding: its shares of keys leave as they are, and are put together where they are read. */
function lowerCached(x: Attention, t: FewTiling, o: Sweep & { readonly grid: Dim }): readonly Kernel[] {
  const { rows, tid, own } = o;
  const result = x.group.outputs.find((n) => n.attrs.index === 2)!;
  const parts = x.buffers.get(result)!;
  const all = mul(o.grid, rows);
  // Share after share, heads inside.
  const order = (): Dim => add(mul(mod(o.pid, t.splits), numel(o.heads)), div(o.pid, t.splits));
  const tops0 = mul(all, x.depth);
  const to: Found = { count: t.splits, sums: parts, tops: parts, totals: parts, tops0, totals0: add(tops0, all), at: order };
  const merged = merge(x, t, { heads: o.heads, rows, number: o.pid, tid, found: own, to: t.splits === 1 ? undefined : to });
  const body = [...sweep(x, t, o), ...merged];
  const buffers = [...x.buffers.values(), o.queries, own.sums, own.tops, own.totals, ...x.made()];
  return [...copiedCaches(x, t), finishKernel(x.group.name, buffers, o.grid, t.threads, body)];
}

/** Everything up to what each group of threads found. */
function sweep(x: Attention, t: FewTiling, o: Sweep): readonly Stmt[] {
  const { rows, tid } = o;
  const [q, k, v] = x.group.root!.inputs as readonly [(typeof x.group.nodes)[0], (typeof x.group.nodes)[0], (typeof x.group.nodes)[0]];
  const count = x.queries as number;
  const groups = o.own.count;
  const [part, mine] = [mod(tid, t.across), div(tid, t.across)];
  const head: Stmt[] = [];
  const from = unflatten(named(x, "head", div(o.pid, t.splits), sub(numel(o.heads), 1), head), o.heads);
  const fresh = isCached(x.group) ? freshOf(x, head) : undefined;
  const start = fresh ? fresh.place : standing(x, from, head);
  const limit = named(x, "limit", seen(x, start, count), x.keys, head);
  const each = ceilDiv(limit, t.splits);
  const first = t.splits === 1 ? 0 : named(x, "first", min(limit, mul(mod(o.pid, t.splits), each)), x.keys, head);
  const end = t.splits === 1 ? limit : named(x, "end", min(limit, add(first, each)), x.keys, head);
  const none = x.number(Number.NEGATIVE_INFINITY);

  const [R, U] = [axis(x.name("r"), rows, "unroll"), axis(x.name("u"), t.ahead, "unroll")];
  const [I, V, E] = [axis(x.name("i"), t.pieces, "unroll"), axis(x.name("v"), t.piece, "vector"), axis(x.name("e"), t.piece, "unroll")];
  const size = t.pieces * t.piece;
  const registers = (stem: string, n: number): Buffer => x.register(stem, n);
  const [qr, kr, vr, or] = [
    registers("qr", rows * size),
    registers("kr", t.ahead * size),
    registers("vr", t.ahead * size),
    registers("or", rows * size),
  ];
  const [score, top, total, base, alpha] = [
    registers("score", t.ahead * rows),
    ...["top", "total", "base", "alpha"].map((n) => registers(n, rows)),
  ] as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const column = (lane: Dim): Dim => add(mul(add(mul(at(I), t.across), part), t.piece), lane);
  const cell = (of: Dim, lane: Dim): Dim => add(mul(of, size), mul(at(I), t.piece), lane);
  const begin: Stmt[] = [];
  begin.push(
    ...loops(
      [R, I, V],
      [store(qr, cell(at(R), at(V)), load(o.queries, add(mul(at(R), x.depth), column(at(V))))), store(or, cell(at(R), at(V)), x.number(0))],
    ),
    ...loops([R], [store(top, at(R), none), store(total, at(R), x.number(0))]),
  );

  const turns = ceilDiv(max(0, sub(end, first)), groups * t.ahead);
  const B = axis(
    x.name("b"),
    t.splits === 1 ? ceilDiv(limit, groups * t.ahead) : named(x, "turns", turns, ceilDiv(x.keys, groups * t.ahead), head),
    "loop",
  );
  const keyOf = (turn: Dim): Dim => add(first, mul(add(mul(turn, t.ahead), at(U)), groups), mine);
  const key = keyOf(at(B));
  const near = min(key, sub(x.keys, 1));
  const operand = (node: typeof q, into: Buffer, turn: Dim): readonly Stmt[] => {
    const before: Stmt[] = [];
    const value = x.read(node, [...from, min(keyOf(turn), fresh ? fresh.old : sub(x.keys, 1)), column(at(V))], before);
    return loops([U, I, V], [...before, store(into, cell(at(U), at(V)), value)]);
  };
  const zeros = [kr, vr].flatMap((b) => loops([U, I, V], [store(b, cell(at(U), at(V)), x.number(0))]));
  const operands = (turn: Dim): readonly Stmt[] => {
    const loads = [...operand(k, kr, turn), ...operand(v, vr, turn)];
    return fresh ? ofOld(fresh, loads, zeros) : loads;
  };
  const taken = fresh
    ? takeFresh(fresh, key, U, (b, which) => loops([I, V], [store(which ? vr : kr, cell(at(U), at(V)), load(b, column(at(V))))]))
    : [];
  const cellOf = add(mul(at(U), rows), at(R));
  const last = x.causal ? min(add(start, mod(at(R), count)), sub(end, 1)) : sub(end, 1);
  const masking: Stmt[] = [];
  let s = load(score, cellOf);
  if (x.group.root!.attrs.mask) {
    const mask = x.group.root!.inputs[3]!;
    const index = [...headOf(x, from, at(R)), mod(at(R), count), near].map((d, i) => (mask.type.shape[i] === 1 ? 0 : d));
    const m = x.read(mask, index, masking);
    s = mask.type.dtype === "bool" ? x.op("where", m, s, none) : x.op("fma", m, x.number(log2e), s);
  }
  s = x.op("where", apply("le", "bool", indexValue(key, "i32"), indexValue(last, "i32")), s, none);
  const power = exponential(x, bytesOf(k.type.dtype) < 4);
  const bottom = x.op("where", apply("eq", "bool", load(base, at(R)), none), x.number(0), load(base, at(R)));
  const tile: readonly Stmt[] = [
    ...taken,
    ...loops(
      [U, R],
      [
        store(score, cellOf, x.number(0)),
        ...loops(
          [I, E],
          [store(score, cellOf, x.op("fma", load(qr, cell(at(R), at(E))), load(kr, cell(at(U), at(E))), load(score, cellOf)))],
        ),
      ],
    ),
    ...(t.across > 1
      ? loops([U, R], [{ kind: "combine", op: "add", axes: [], threads: t.across, value: load(score, cellOf), into: ref(score, cellOf) }])
      : []),
    ...loops([U, R], [...masking, store(score, cellOf, s)]),
    ...loops(
      [R],
      [
        { kind: "combine", op: "max", axes: [U], threads: 1, value: load(score, cellOf), into: ref(base, at(R)) },
        store(base, at(R), x.op("max", load(base, at(R)), load(top, at(R)))),
        store(alpha, at(R), load(base, at(R))),
        // A group that has seen nothing yet keeps a base that is a number, or differences of infinities would be none.
        store(base, at(R), bottom),
        ...loops([U], [store(score, cellOf, power(x.op("sub", load(score, cellOf), load(base, at(R)))))]),
        store(base, at(R), power(x.op("sub", load(top, at(R)), load(base, at(R))))),
        store(top, at(R), load(alpha, at(R))),
        { kind: "combine", op: "add", axes: [U], threads: 1, value: load(score, cellOf), into: ref(alpha, at(R)) },
        store(total, at(R), x.op("fma", load(total, at(R)), load(base, at(R)), load(alpha, at(R)))),
        ...loops([I, E], [store(or, cell(at(R), at(E)), x.op("mul", load(or, cell(at(R), at(E))), load(base, at(R))))]),
        ...loops(
          [U, I, E],
          [store(or, cell(at(R), at(E)), x.op("fma", load(score, cellOf), load(vr, cell(at(U), at(E))), load(or, cell(at(R), at(E)))))],
        ),
      ],
    ),
  ];
  // Queries, as exponents of 2 want them.
  const staged: Stmt[] = [];
  const whole = rows * x.depth;
  const P = axis(x.name("qp"), Math.ceil(whole / t.threads), "loop");
  const place = add(mul(at(P), t.threads), tid);
  const read: Stmt[] = [];
  const value = x.read(q, [...headOf(x, from, div(place, x.depth)), mod(div(place, x.depth), count), mod(place, x.depth)], read);
  const scaled = x.op("mul", value, x.number(x.scale * log2e));
  const put = [...read, store(o.queries, place, scaled)];
  const guarded = (body: readonly Stmt[]): readonly Stmt[] =>
    whole % t.threads ? [{ kind: "if", test: below(place, whole), body }] : body;
  if (fresh) {
    const held = registers("qh", P.size as number);
    const U = axis(P.name, P.size, "unroll");
    const beside = {
      read: loops([U], guarded([...read, store(held, at(P), scaled)])),
      put: loops([U], guarded([store(o.queries, place, load(held, at(P)))])),
    };
    staged.push(...stageFresh(x, t, fresh, from, tid, beside), { kind: "barrier" }, ...putFresh(x, t, fresh, from, tid, o.pid));
  } else staged.push(...loops([P], guarded(put)), { kind: "barrier" });

  // The first keys and values are on their way while queries are made ready.
  const early = given(0, x.keys, operands(0));
  const later: Stmt = { kind: "if", test: below(add(at(B), 1), B.size), body: operands(add(at(B), 1)) };
  const row = add(mul(mine, rows), at(R));
  return [
    ...head,
    ...early,
    ...staged,
    ...begin,
    ...loops([B], given(0, x.keys, [...tile, later])),
    ...loops(
      [R],
      [
        {
          kind: "if",
          test: below(part, 1),
          body: [store(o.own.tops, row, load(top, at(R))), store(o.own.totals, row, load(total, at(R)))],
        },
      ],
    ),
    ...loops([R, I, V], [store(o.own.sums, add(mul(row, x.depth), column(at(V))), load(or, cell(at(R), at(V))))]),
    { kind: "barrier" },
  ];
}
const exponential =
  (x: Attention, near: boolean): ((v: Value) => Value) =>
  (v) =>
    apply(near ? "exp2near" : "exp2", x.dtype, v);
/** The head of a row of queries. */
const headOf = (x: Attention, from: readonly Dim[], row: Dim): Dim[] =>
  x.batch.length ? [...from.slice(0, -1), add(mul(from.at(-1)!, x.shared), div(row, x.queries))] : [];

/** A thread for each element of the result: what was found is put together, and leaves or is put aside. */
function merge(
  x: Attention,
  t: FewTiling,
  o: {
    readonly heads: readonly Dim[];
    readonly rows: number;
    readonly number: Dim;
    readonly tid: Dim;
    readonly found: Found;
    readonly to: Found | undefined;
  },
): readonly Stmt[] {
  const { found, to, rows } = o;
  const whole = rows * x.depth;
  // Some neighbouring threads for each element, where there are more threads than elements.
  const each = [8, 4, 2, 1].find((n) => n === 1 || (n * whole <= t.threads && found.count % n === 0 && (n * whole) % 32 === 0))!;
  const P = axis(x.name("mp"), Math.ceil((each * whole) / t.threads), "loop");
  const place = add(mul(at(P), t.threads), o.tid);
  const [row, column] = [div(place, x.depth * each), mod(div(place, each), x.depth)];
  const some = [16, 8, 4, 2, 1].find((n) => (found.count / each) % n === 0)!;
  const [G, S] = [axis(x.name("g"), found.count / each / some, "loop"), axis(x.name("gs"), some, "unroll")];
  const at0 = add(mul(found.at(add(mul(add(mul(at(G), some), at(S)), each), mod(place, each))), rows), row);
  const across = (op: "max" | "add", b: Buffer): readonly Stmt[] =>
    each === 1 ? [] : [{ kind: "combine", op, axes: [], threads: each, value: load(b, 0), into: ref(b, 0) }];
  const [most, base, sum, all, factor] = ["most", "foot", "sum", "all", "factor"].map((n) => x.register(n, 1)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const none = x.number(Number.NEGATIVE_INFINITY);
  const power = exponential(x, bytesOf(x.group.root!.inputs[1]!.type.dtype) < 4);
  const put: Stmt[] = [
    store(most, 0, none),
    store(sum, 0, x.number(0)),
    store(all, 0, x.number(0)),
    ...loops([G, S], [store(most, 0, x.op("max", load(most, 0), load(found.tops, at0)))]),
    ...across("max", most),
    store(base, 0, x.op("where", apply("eq", "bool", load(most, 0), none), x.number(0), load(most, 0))),
    ...loops(
      [G, S],
      [
        store(factor, 0, power(x.op("sub", load(found.tops, at0), load(base, 0)))),
        store(sum, 0, x.op("fma", load(found.sums, add(mul(at0, x.depth), column)), load(factor, 0), load(sum, 0))),
        store(all, 0, x.op("fma", load(found.totals, at0), load(factor, 0), load(all, 0))),
      ],
    ),
    ...across("add", sum),
    ...across("add", all),
  ];
  const leaving: Stmt[] = [];
  const once = (body: readonly Stmt[]): Stmt => ({ kind: "if", test: below(column, 1), body });
  if (to) {
    const r = add(mul(to.at(0), rows), row);
    leaving.push(
      once([store(to.tops, add(to.tops0 ?? 0, r), load(most, 0)), store(to.totals, add(to.totals0 ?? 0, r), load(all, 0))]),
      store(to.sums, add(mul(r, x.depth), column), load(sum, 0)),
    );
  } else {
    const root = x.group.root!;
    const blind = root.attrs.mask === true || root.attrs.offset === true || lo(x.keys) === 0;
    const [out, logs] = (isCached(x.group) ? [2] : [0, 1]).map((i) => x.group.outputs.find((n) => n.attrs.index === i));
    const from = unflatten(o.number, o.heads);
    const query = [...headOf(x, from, row), mod(row, x.queries)];
    const shape = [...x.batch, x.queries];
    if (blind) leaving.push(store(all, 0, x.op("where", apply("eq", "bool", load(all, 0), x.number(0)), x.number(1), load(all, 0))));
    if (logs)
      leaving.push(
        once([
          store(x.buffers.get(logs)!, flatten(query, shape), x.op("fma", load(base, 0), x.number(Math.LN2), x.op("log", load(all, 0)))),
        ]),
      );
    if (out) leaving.push(store(x.buffers.get(out)!, x.placeOf([...query, column]), x.op("div", load(sum, 0), load(all, 0))));
  }
  const body = [...put, ...(each === 1 ? leaving : [{ kind: "if", test: below(mod(place, each), 1), body: leaving } as const])];
  return loops([P], divides(t.threads, each * whole) ? body : [{ kind: "if", test: below(place, each * whole), body }]);
}

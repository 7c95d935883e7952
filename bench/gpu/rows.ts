/** Rows of memory-bound kernels over 1 GiB: chains, softmax, norms. */
import type { DType } from "#treepie/core/dtype.js";
import { bytesOf } from "#treepie/core/dtype.js";
import type { Node } from "#treepie/ir/node.js";
import * as o from "#treepie/ops/index.js";
import { type Bar, type Case, type Peer, row } from "../row.js";
import { peersFor } from "./peers.js";
import { bench, type Ground, load } from "./run.js";

const gib = 1 << 30;
/** Where rows are measured, and against whom. */
export interface RowSite extends Pick<Ground, "bench" | "load"> {
  readonly suite: string;
  readonly bar: Bar;
  peers(
    job: Readonly<Record<string, unknown>>,
    value: (seconds: number) => number,
  ): Promise<{ readonly peers?: readonly Peer[]; readonly missing?: readonly string[] }>;
}
const onCuda: RowSite = { suite: "gpu", bench, load, bar: { limitFraction: 0.9 }, peers: peersFor };
type Check = (x: Float64Array, inputs: readonly Float64Array[]) => Float64Array;

/** A kernel over rows, and what it gives. */
export interface RowJob {
  readonly kind: string;
  readonly f: (x: Node, w: Node, b: Node) => Node;
  readonly affine: boolean;
  readonly want: Check;
}
/** Rows of `columns` elements that fill 1 GiB; the last row is compared with `want`. */
export function rowCase(name: string, { kind, f, affine, want }: RowJob, columns: number, dtype: DType, site: RowSite = onCuda): Case {
  return {
    name,
    async run() {
      const { copy } = await site.bench();
      const width = columns || 4096;
      const rows = Math.floor(gib / bytesOf(dtype) / width);
      const moved = 2 * rows * width * bytesOf(dtype);
      const weights = affine ? [1, 2].map(() => ({ shape: [width], dtype })) : [];
      const t = await site.load((x, w, b) => f(x!, w!, b!), [{ shape: [rows, width], dtype }, ...weights]);
      try {
        const seconds = await t.time(20);
        const at = (rows - 1) * width;
        const all = async (which: number, from: number): Promise<Float64Array> => Float64Array.from(await t.values(which, from, width));
        const expected = want(await all(0, at), affine ? [await all(1, 0), await all(2, 0)] : []);
        const got = await all(-1, at);
        const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
        const off = got.reduce((m, v, i) => Math.max(m, Math.abs(v - expected[i]!)), 0) / largest;
        if (!(off <= (dtype === "f32" ? 1e-5 : 8e-3))) throw new Error(`${name}: the last row is off by ${off} of the largest magnitude`);
        return [
          row({ suite: site.suite, name, metric: "1 GiB read and written", unit: "GB/s" }, moved / seconds / 1e9, {
            ...(await site.peers({ kind, rows, columns: width, dtype }, (s) => moved / s / 1e9)),
            limit: copy / 1e9,
            note: `limit: a copy of as many bytes; ${t.kernels} kernel`,
            bar: site.bar,
          }),
        ];
      } finally {
        t.close();
      }
    },
  };
}

const chain = (x: Node): Node =>
  o.clamp(o.mul(o.add(o.abs(o.mul(o.sub(o.relu(o.add(o.mul(x, 1.25), 0.75)), 0.375), 0.8)), x), 0.6), null, 3.5);
const chainOf: Check = (x) => x.map((v) => Math.min((Math.abs((Math.max(v * 1.25 + 0.75, 0) - 0.375) * 0.8) + v) * 0.6, 3.5));
const softmaxOf: Check = (x) => {
  const most = x.reduce((a, b) => Math.max(a, b));
  const e = x.map((v) => Math.exp(v - most));
  const sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
};
const layerNormOf: Check = (x, [w, b]) => {
  const mean = x.reduce((a, v) => a + v) / x.length;
  const spread = x.reduce((a, v) => a + (v - mean) ** 2, 0) / x.length;
  return x.map((v, i) => ((v - mean) / Math.sqrt(spread + 1e-5)) * w![i]! + b![i]!);
};

export const chain8: RowJob = { kind: "chain8", f: chain, affine: false, want: chainOf };
export const softmax: RowJob = { kind: "softmax", f: (x) => o.softmax(x, 1), affine: false, want: softmaxOf };
export const layerNorm: RowJob = {
  kind: "layernorm",
  f: (x, w, b) => o.layerNorm(x, [x.type.shape[1] as number], w, b),
  affine: true,
  want: layerNormOf,
};

/** The rows. */
export const rowCases: readonly Case[] = (["f32", "bf16"] as const).flatMap((dtype) => [
  rowCase(`chain8-1gb-${dtype}`, chain8, 0, dtype),
  ...[softmax, layerNorm].flatMap((job) => [768, 4096, 32768].map((n) => rowCase(`${job.kind}-1gb-${n}-${dtype}`, job, n, dtype))),
]);

/**
 * Whether NVIDIA's libraries would be worth a call: products of the shapes of the models by cuBLASLt with its fused epilogues, attention by
 * cuDNN (as PyTorch calls it). A side's work is one graph launch of many such kernels; all its weights are different, as a model's are.
 */
import { vjp } from "#treepie/autodiff/grad.js";
import { fromBytes } from "#treepie/core/convert.js";
import { bytesOf } from "#treepie/core/dtype.js";
import type { Node } from "#treepie/ir/node.js";
import * as o from "#treepie/ops/index.js";
import { setFloat32MatmulPrecision } from "#treepie/ops/precision.js";
import type { Allocation } from "#treepie/runtime/device.js";
import { type Case, type Row, row } from "../row.js";
import { type Lt, type Operand, openLt, type Product } from "./cublaslt.js";
import { peersFor } from "./peers.js";
import { bench, type Drawn, load, type Timed } from "./run.js";

type DType = "bf16" | "f32";
/** One product of a chain: to `n` columns, with a weight as [n, k], or as [k, n] where `plain`. */
interface Step {
  readonly n: number;
  readonly plain?: true;
  readonly bias?: true;
  readonly gelu?: true;
}
interface Chain {
  readonly name: string;
  readonly m: number;
  readonly k: number;
  readonly steps: readonly Step[];
  readonly repeat: number;
  readonly dtypes?: readonly DType[];
}
const mlp = (plain?: true): readonly Step[] => [
  { n: 3072, bias: true, gelu: true, ...(plain && { plain }) },
  { n: 768, bias: true, ...(plain && { plain }) },
];
const gated: readonly Step[] = [{ n: 8192 }, { n: 2048 }];
const chains: readonly Chain[] = [
  { name: "4096", m: 4096, k: 4096, steps: [{ n: 4096 }], repeat: 4, dtypes: ["bf16"] },
  { name: "bert-mlp", m: 512, k: 768, steps: mlp(), repeat: 6 },
  { name: "bert-out", m: 512, k: 768, steps: [{ n: 768, bias: true }], repeat: 12 },
  {
    name: "bert-head",
    m: 512,
    k: 768,
    steps: [
      { n: 30_522, bias: true },
      { n: 768, plain: true },
    ],
    repeat: 2,
  },
  { name: "gpt2-128", m: 128, k: 768, steps: mlp(true), repeat: 6 },
  { name: "llama-1", m: 1, k: 2048, steps: gated, repeat: 8, dtypes: ["bf16"] },
  { name: "llama-32", m: 32, k: 2048, steps: gated, repeat: 8, dtypes: ["bf16"] },
  { name: "llama-2048", m: 2048, k: 2048, steps: gated, repeat: 4, dtypes: ["bf16"] },
];

/** Where the device put a buffer. */
const addressOf = (a: Allocation): bigint => (a as unknown as { readonly place: bigint }).place;
/** The greatest difference that two chains of roundings may have, as a part of the largest magnitude. */
const allowed = 0.05;

/** Where the library's last product lies, and its elements. */
interface Result {
  readonly out: bigint;
  readonly elements: number;
}
/** Compares ours with the library's and gives the row. */
async function against(
  name: string,
  t: Timed,
  products: number,
  dtype: DType,
  { out, elements }: Result,
  run: () => void,
  lt: Lt,
): Promise<ReturnType<typeof row>> {
  const ours = await t.time(20);
  const theirs = lt.time(run, 20);
  const count = Math.min(4096, elements);
  const [mine, other] = [await t.values(-1, 0, count), fromBytes(dtype, lt.read(out, count * bytesOf(dtype))) as ArrayLike<number>];
  let [off, largest] = [0, 0];
  for (let i = 0; i < count; i++) {
    off = Math.max(off, Math.abs(mine[i]! - other[i]!));
    largest = Math.max(largest, Math.abs(other[i]!));
  }
  if (!(off <= allowed * largest)) throw new Error(`${name}: results differ by ${off} where the largest is ${largest}`);
  const us = (seconds: number): number => (seconds / products) * 1e6;
  return row({ suite: "gpu", name, metric: "a product in a graph of many", unit: "us" }, us(ours), {
    peers: [{ name: "cuBLASLt", value: us(theirs) }],
    lowerIsBetter: true,
    note: `${products} products in ${t.kernels} kernels`,
    bar: { ratio: 0.95 },
  });
}
/** A library's products, timed; or the row of ours with what is missing. */
async function withLt(
  name: string,
  t: Timed,
  products: number,
  dtype: DType,
  make: (lt: Lt) => Result & { readonly all: readonly Product[] },
): Promise<ReturnType<typeof row>> {
  const lt = openLt();
  if (typeof lt === "string")
    return row({ suite: "gpu", name, metric: "a product in a graph of many", unit: "us" }, ((await t.time(20)) / products) * 1e6, {
      missing: [lt],
    });
  try {
    const made = make(lt);
    return await against(name, t, products, dtype, made, () => made.all.forEach((p) => void p()), lt);
  } finally {
    lt.close();
  }
}
/** f32 products may round their operands, on both sides. */
async function inTf32<T>(f: () => Promise<T>): Promise<T> {
  setFloat32MatmulPrecision("high");
  try {
    return await f();
  } finally {
    setFloat32MatmulPrecision("highest");
  }
}

function chainCase(c: Chain, dtype: DType): Case {
  const name = `claim-${c.name}-${dtype}`;
  const steps = Array.from({ length: c.repeat }, () => c.steps).flat();
  const widths = steps.map((_, i) => (i ? steps[i - 1]!.n : c.k));
  const inputs: Drawn[] = [{ shape: [c.m, c.k], dtype }];
  for (const [i, s] of steps.entries()) {
    const k = widths[i]!;
    // Values keep their magnitude from product to product.
    inputs.push({ shape: s.plain ? [k, s.n] : [s.n, k], dtype, scale: (s.gelu ? 1.2 : 0.87) / Math.sqrt(k) });
    inputs.push({ shape: [s.n], dtype, scale: 0.25 });
  }
  const f = (...x: Node[]): Node =>
    steps.reduce((y, s, i) => {
      const [w, b] = [x[1 + 2 * i]!, x[2 + 2 * i]!];
      const p = o.matmul(y, s.plain ? w : o.permute(w, [1, 0]));
      const q = s.bias ? o.add(p, b) : p;
      return s.gelu ? o.gelu(q, { approximate: "tanh" }) : q;
    }, x[0]!);
  return {
    name,
    run: () =>
      inTf32(async () => {
        await bench();
        const t = await load(f, inputs);
        try {
          const at = t.inputs.map(addressOf);
          return [
            await withLt(name, t, steps.length, dtype, (lt) => {
              let x: Operand = { at: at[0]!, rows: c.m, columns: c.k };
              const all = steps.map((s, i): Product => {
                const y = lt.alloc(c.m * s.n * bytesOf(dtype));
                const w = s.plain
                  ? { at: at[1 + 2 * i]!, rows: widths[i]!, columns: s.n }
                  : { at: at[1 + 2 * i]!, rows: s.n, columns: widths[i]!, turned: true };
                const p = lt.product(x, w, y, dtype, { ...(s.bias && { bias: at[2 + 2 * i]! }), ...(s.gelu && { gelu: true }) });
                x = { at: y, rows: c.m, columns: s.n };
                return p;
              });
              return { out: x.at, elements: x.rows * x.columns, all };
            }),
          ];
        } finally {
          t.close();
        }
      }),
  };
}

/** Gradients of weights: transposed gradients of 512 tokens times their inputs; ours may run side by side. */
function gradientCase(dtype: DType): Case {
  const name = `claim-bert-gradients-${dtype}`;
  const [tokens, k, n, count] = [512, 768, 3072, 6];
  const inputs: Drawn[] = Array.from({ length: count }, () => [
    { shape: [tokens, n], dtype, scale: 0.05 },
    { shape: [tokens, k], dtype },
  ]).flat();
  return {
    name,
    run: () =>
      inTf32(async () => {
        await bench();
        const pairs = Array.from({ length: count }, (_, i) => i);
        const t = await load((...x) => pairs.map((i) => o.matmul(o.permute(x[2 * i]!, [1, 0]), x[2 * i + 1]!)), inputs);
        try {
          const at = t.inputs.map(addressOf);
          return [
            await withLt(name, t, count, dtype, (lt) => {
              const outs = pairs.map(() => lt.alloc(n * k * bytesOf(dtype)));
              const all = pairs.map((i) =>
                lt.product(
                  { at: at[2 * i]!, rows: tokens, columns: n, turned: true },
                  { at: at[2 * i + 1]!, rows: tokens, columns: k },
                  outs[i]!,
                  dtype,
                ),
              );
              return { out: outs[0]!, elements: n * k, all };
            }),
          ];
        } finally {
          t.close();
        }
      }),
  };
}

/** Attention of a model, a few layers one after the other: what comes out is the next one's queries. */
interface Attention {
  readonly name: string;
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly time: number;
  readonly depth?: number;
  readonly causal: boolean;
  readonly layers: number;
}
const attentions: readonly Attention[] = [
  { name: "bert", batch: 4, heads: 12, keyHeads: 12, time: 128, causal: false, layers: 6 },
  { name: "gpt2-512", batch: 4, heads: 12, keyHeads: 12, time: 512, causal: true, layers: 4 },
  { name: "wide-4096", batch: 2, heads: 16, keyHeads: 16, time: 4096, depth: 128, causal: true, layers: 2 },
  { name: "gpt2-1024", batch: 4, heads: 12, keyHeads: 12, time: 1024, causal: true, layers: 4 },
  { name: "llama-2048", batch: 1, heads: 32, keyHeads: 8, time: 2048, causal: true, layers: 4 },
  { name: "llama-32768", batch: 1, heads: 32, keyHeads: 8, time: 32_768, causal: true, layers: 1 },
];
function attentionCase(a: Attention, backward: boolean): Case {
  const { depth = 64 } = a;
  const name = `claim-attention-${a.name}-${backward ? "fwdbwd" : "fwd"}-bf16`;
  const pairs = (a.time * a.time) / (a.causal ? 2 : 1);
  // Two products forward; backward the scores again and four more.
  const operations = (backward ? 7 : 2) * 2 * a.batch * a.heads * pairs * depth * a.layers;
  const kernels = `${name}-kernels`;
  return {
    name,
    rows: [name, kernels],
    async run(chosen) {
      await bench();
      const q = { shape: [a.batch, a.heads, a.time, depth], dtype: "bf16" } as const;
      const k = { shape: [a.batch, a.keyHeads, a.time, depth], dtype: "bf16" } as const;
      const rate = async (which?: "kernels"): Promise<{ readonly ours: number; readonly steps: number }> => {
        const t = await load(
          (query, ...rest) => {
            const ct = rest.pop()!;
            let y = query!;
            for (let i = 0; i < a.layers; i++)
              y = o.scaledDotProductAttention(y, rest[2 * i]!, rest[2 * i + 1]!, null, { isCausal: a.causal, enableGqa: true });
            return backward ? [y, ...(vjp([y], [ct], [query!, ...rest]) as Node[])] : o.add(y, ct);
          },
          [q, ...Array<Drawn>(2 * a.layers).fill(k), q],
          which,
        );
        try {
          return { ours: operations / (await t.time(a.time > 8192 ? 3 : 20)) / 1e12, steps: t.kernels };
        } finally {
          t.close();
        }
      };
      const rows: Row[] = [];
      const at = (row: string) => ({ suite: "gpu", name: row, metric: "attention in a graph", unit: "TFLOP/s" });
      if (chosen.includes(name)) {
        const { ours, steps } = await rate();
        const peers = await peersFor({ kind: "attention", dtype: "bf16", backward, ...a, depth }, (s) => operations / s / 1e12);
        rows.push(row(at(name), ours, { ...peers, note: `${a.layers} layers in ${steps} steps`, bar: { ratio: 0.95 } }));
      }
      if (chosen.includes(kernels)) {
        const { ours, steps } = await rate("kernels");
        rows.push(row(at(kernels), ours, { note: `${a.layers} layers in ${steps} kernels, none of them a library's` }));
      }
      return rows;
    },
  };
}

/** The rows. */
export const claimCases: readonly Case[] = [
  ...chains.flatMap((c) => (c.dtypes ?? (["bf16", "f32"] as const)).map((d) => chainCase(c, d))),
  ...(["bf16", "f32"] as const).map(gradientCase),
  ...attentions.flatMap((a) => [attentionCase(a, false), ...(a.time > 8192 ? [] : [attentionCase(a, true)])]),
];

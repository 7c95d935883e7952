/** Large products, plain and with bias and gelu, from generated kernels. */
import type { Node } from "#treepie/ir/node.js";
import * as o from "#treepie/ops/index.js";
import { type Bar, type Case, row } from "../row.js";
import { peersFor } from "./peers.js";
import type { RowSite } from "./rows.js";
import { type Ground, load } from "./run.js";

const onCuda = { suite: "gpu", load, peers: peersFor };
/** A product of n by n matrices, plain or with bias and gelu. */
export function matmulCase(
  name: string,
  n: number,
  dtype: "bf16" | "f32",
  epilogue: boolean,
  bar: Bar | undefined,
  site: Pick<RowSite, "suite" | "load" | "peers"> = onCuda,
): Case {
  return {
    name,
    async run() {
      const f = (a: Node, w: Node, bias: Node): Node => {
        const y = o.matmul(a, o.permute(w, [1, 0]));
        return epilogue ? o.gelu(o.add(y, bias)) : y;
      };
      const shapes = [[n, n], [n, n], ...(epilogue ? [[n]] : [])];
      const t = await site.load(
        (a, w, b) => f(a!, w!, b!),
        shapes.map((shape) => ({ shape, dtype })),
      );
      try {
        const seconds = await t.time(n > 1024 ? 50 : 3);
        for (const [i, j] of [
          [0, 0],
          [n - 1, n - 1],
          [n / 2 + 7, n - 300],
        ] as const) {
          const [x, w] = [await t.values(0, i * n, n), await t.values(1, j * n, n)];
          let [want, size] = [0, 0];
          for (let k = 0; k < n; k++) {
            want += x[k]! * w[k]!;
            size += Math.abs(x[k]! * w[k]!);
          }
          if (epilogue) {
            const v = want + (await t.values(2, j, 1))[0]!;
            want = 0.5 * v * (1 + erf(v / Math.SQRT2));
          }
          const got = (await t.values(-1, i * n + j, 1))[0]!;
          const allowed = dtype === "bf16" ? Math.abs(want) * 8e-3 + size * 1e-6 : size * 1e-6;
          if (!(Math.abs(got - want) <= allowed)) throw new Error(`${name}: element ${i}, ${j} is ${got}, not ${want}`);
        }
        const rate = (s: number): number => (2 * n ** 3) / s / 1e12;
        return [
          row({ suite: site.suite, name, metric: "a · wᵀ", unit: "TFLOP/s" }, rate(seconds), {
            ...(await site.peers({ kind: epilogue ? "matmul-gelu" : "matmul", n, dtype }, rate)),
            note: `${t.kernels} kernel${epilogue ? "; the peer is the bare product" : ""}`,
            bar,
          }),
        ];
      } finally {
        t.close();
      }
    },
  };
}
/** Abramowitz and Stegun 7.1.26: 1.5e-7 is enough here. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return Math.sign(x) * y;
}

/** Operations a second of a product of n by n matrices. */
export async function matrixRate(n: number, dtype: "bf16" | "f32", on: Pick<Ground, "load"> = { load }): Promise<number> {
  const t = await on.load(
    (a, w) => o.matmul(a!, o.permute(w!, [1, 0])),
    [1, 2].map(() => ({ shape: [n, n], dtype })),
  );
  try {
    return (2 * n ** 3) / (await t.time(20));
  } finally {
    t.close();
  }
}

/** The rows. */
export const matmulCases: readonly Case[] = [
  matmulCase("matmul-4096-bf16", 4096, "bf16", false, { ratio: 0.95 }),
  matmulCase("matmul-4096-bf16-gelu", 4096, "bf16", true, { ratio: 0.9 }),
  matmulCase("matmul-4096-f32", 4096, "f32", false, { ratio: 0.6 }),
];

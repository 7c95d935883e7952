/**
 * What vitest runs elsewhere, as a plain script for a GPU machine that has nothing installed:
 * `npx esbuild test/gpu/check.ts --bundle --platform=node --format=esm --external:koffi --outfile=check.mjs`, then
 * `node check.mjs conformance 12` there: the suite, shared out over 12 processes (the compiler works for one at a time).
 * `node check.mjs fuzz 12 1000` is the graph fuzzer, `node check.mjs products 12`, `attention 12` and `long 8` what matrix units compute,
 * `library 8` what cuBLASLt and cuDNN may, `decode 8` tokens through small models. `TREEPIE_SAMPLE=8` takes every eighth case. `TREEPIE_CHECK=webgpu` checks the webgpu
 * backend instead of cuda (`--external:webgpu`), `TREEPIE_CHECK=c` what that machine's processor has.
 */
import { spawn } from "node:child_process";
import { c } from "../../src/backends/c/index.js";
import { openCuda } from "../../src/backends/cuda/device.js";
import { cuda } from "../../src/backends/cuda/index.js";
import { webgpu } from "../../src/backends/webgpu/index.js";
import "../../src/ops/index.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { allCases, type Case } from "../conformance/cases.js";
import { judge } from "../conformance/judge.js";
import { runAll } from "../conformance/run.js";
import { buildCase, randomRecipe } from "../fuzz/graphs.js";
import { attentionCases } from "./attention.js";
import { decodeCases } from "./decode.js";
import { libraryCases } from "./library.js";
import { judgeLongAttention, longAttentionCases } from "./long-attention.js";
import { judgeProduct, productCases } from "./products.js";

const backends = { cuda, webgpu, c } as const;
const backend = backends[(process.env["TREEPIE_CHECK"] ?? "cuda") as keyof typeof backends];

interface Found {
  readonly ran: number;
  readonly compared: number;
  readonly notCompared: number;
  readonly builds: number;
  readonly wrong: readonly string[];
}

/** Cases beside the suite: drawing values takes longer than a GPU does, so each process makes its own ones alone. */
const own: Readonly<Record<string, () => (() => Case)[]>> = {
  products: productCases,
  library: libraryCases,
  attention: () => attentionCases().map((c) => () => c),
  long: longAttentionCases,
  decode: () => decodeCases().map((c) => () => c),
};

/** A library of attention is worth a call for anything. */
const eager = (codegen: Codegen): Codegen => {
  const { attention, ...target } = codegen.target;
  return { ...codegen, target: { ...target, ...(attention && { attention: { ...attention, leastOperations: 0 } }) } };
};

/** One process' share: every `count`-th block of cases. */
async function share(what: string, index: number, count: number, total: number): Promise<Found> {
  const suite =
    what in own || what === "fuzz"
      ? { cases: [], failed: [] }
      : allCases({ derivatives: ["f32"], ...(process.env["TREEPIE_OPS"] && { ops: process.env["TREEPIE_OPS"].split(",") }) });
  const list: readonly (() => Case)[] =
    own[what]?.() ??
    (what === "fuzz" ? Array.from({ length: total }, (_, i) => () => buildCase(randomRecipe(i))) : suite.cases.map((c) => () => c));
  const block = what in own ? 1 : 20;
  const sample = Number(process.env["TREEPIE_SAMPLE"] ?? 1);
  const mine = list
    .filter((_, i) => i % sample === 0)
    .filter((_, i) => Math.floor(i / block) % count === index)
    .map((make) => make());
  // Attention is cuDNN's there, whichever is faster, and however small it is.
  const device = what === "library" ? await openCuda({}, Infinity) : await backend.open();
  const codegen = what === "library" ? eager(backend.codegen()) : backend.codegen();
  const { results, broken } = await runAll(mine, codegen, device, 100);
  const wrong = [...(index ? [] : suite.failed.map((f) => `${f.name}: ${f.why}`)), ...broken.map((b) => `${b.case.name}: ${b.why}`)];
  let compared = 0;
  let notCompared = 0;
  for (const [of, got] of results) {
    const found =
      what === "products" || (what === "library" && of.op === "product") || (what === "decode" && of.name.includes("f32"))
        ? judgeProduct(of, got)
        : what === "long"
          ? judgeLongAttention(of, got)
          : judge(of, got, codegen.target.ieee);
    compared += got.length;
    notCompared += found.notCompared.length;
    wrong.push(...found.wrong);
  }
  const { builds } = device.counters;
  await device.close();
  return { ran: mine.length, compared, notCompared, builds, wrong };
}

const [what = "conformance", processes = "8", total = "1000", index] = process.argv.slice(2);
if (index !== undefined) {
  process.stdout.write(JSON.stringify(await share(what, Number(index), Number(processes), Number(total))));
} else {
  const start = performance.now();
  const one = (i: number): Promise<Found> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [process.argv[1]!, what, processes, total, `${i}`], { stdio: ["ignore", "pipe", "pipe"] });
      const [out, err]: [string[], string[]] = [[], []];
      child.stdout.on("data", (d) => out.push(String(d)));
      child.stderr.on("data", (d) => err.push(String(d)));
      child.on("close", (code, signal) => {
        if (code === 0) resolve(JSON.parse(out.join("")) as Found);
        else
          resolve({
            ran: 0,
            compared: 0,
            notCompared: 0,
            builds: 0,
            wrong: [`process ${i} ended with ${signal ?? code}: ${err.join("").slice(-1500)}`],
          });
      });
    });
  const all = await Promise.all(Array.from({ length: Number(processes) }, (_, i) => one(i)));
  const sum = (f: (x: Found) => number): number => all.reduce((s, x) => s + f(x), 0);
  const wrong = all.flatMap((x) => x.wrong);
  for (const w of wrong) console.log(`WRONG ${w.slice(0, 400)}`);
  console.log(
    `${what}: ${sum((x) => x.ran)} cases ran, ${sum((x) => x.compared)} results compared, ${sum((x) => x.notCompared)} could not be, ${wrong.length} wrong, ` +
      `${sum((x) => x.builds)} texts compiled, ${((performance.now() - start) / 1000).toFixed(1)} s`,
  );
  process.exit(wrong.length ? 1 : 0);
}

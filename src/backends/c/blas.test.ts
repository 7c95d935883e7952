import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Case, valuesOf } from "../../../test/conformance/cases.js";
import { runCases } from "../../../test/conformance/run.js";
import { batched, type Leaves, libraryCase, libraryUses, type Sizes } from "../../../test/gpu/library.js";
import { explain } from "../../compile/explain.js";
import { compile } from "../../compile/index.js";
import type { DType } from "../../core/dtype.js";
import { variable } from "../../core/expr.js";
import type { NdArray } from "../../core/ndarray.js";
import type { Node } from "../../ir/node.js";
import type { Codegen } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import * as o from "../../ops/index.js";
import { cpu } from "../../runtime/cpu.js";
import type { Device } from "../../runtime/device.js";
import { ffi } from "../../runtime/ffi.js";
import type { Program } from "../../runtime/program.js";
import { verifyProgram } from "../../runtime/verify.js";
import { interpret } from "../interp/interpret.js";
import { findBlas, openBlas } from "./blas.js";
import { findCompiler, here } from "./cc.js";
import { withBlas } from "./claims/products.js";
import { cCodegen } from "./codegen.js";
import { type Library, openC } from "./device.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
process.env["TREEPIE_CACHE_DIR"] = join(folder, "cache");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const target = { ...here(), parallel: 2, caches: cpu().caches };
const plain = cCodegen(target, templates);
const codegen = cCodegen({ ...target, products: true }, withBlas);
const sizes: Sizes = [264, 200, 136];
const [m, k, n] = sizes;
const programOf = (c: Case, by: Codegen = codegen): Program =>
  compile({ inputs: [...c.feeds.keys()], state: [], outputs: [...c.roots], updates: [] }, by, { name: "p", verify: true });
const caseOf = (name: string, f: (x: Leaves) => Node, dtype: DType = "f32"): Case => libraryCase(name, dtype, f, sizes);
const withoutProducts = (p: Program): unknown => ({
  kernels: p.kernels,
  buffers: p.buffers,
  steps: p.steps.map((s) => (s.kind === "launch" ? { kernel: s.kernel, buffers: s.buffers, dims: s.dims, grid: s.grid } : s)),
});

describe("a product as a call of BLAS", () => {
  test.each(Object.entries(libraryUses))("%s changes no kernel", (name, [f]) => {
    const [p, without] = [programOf(caseOf(name, f)), programOf(caseOf(name, f), plain)];
    verifyProgram(p);
    expect(withoutProducts(p)).toEqual(withoutProducts(without));
    const [step] = p.steps;
    if (step?.kind !== "launch") throw new Error("no launch");
    if (name === "gelu") expect(explain(p)).toMatch(/the library has no \w+ behind a product/);
    else {
      expect(step.product).toMatchObject({ library: "blas", batch: 1, m, n });
      expect([step.product!.bias !== undefined, step.product!.c !== undefined]).toEqual([
        /bias|residual|rows/.test(name),
        /residual|wide/.test(name),
      ]);
      expect(explain(p)).toMatch(/kernel k\w+ or BLAS, whichever is faster/);
    }
  });
  test("what it cannot do says why", () => {
    const says = (c: Case): string => {
      const p = programOf(c);
      expect(p.steps.every((s) => s.kind !== "launch" || !s.product)).toBe(true);
      return explain(p);
    };
    expect(says(libraryCase("small", "f32", (x) => o.matmul(x.a, x.b), [64, 64, 64]))).toMatch(/too small for a library's call/);
    expect(says(caseOf("half", (x) => o.matmul(x.a, x.b), "f16"))).toMatch(/no library multiplies f16/);
    const rows = variable("t", 1, 512);
    const [x, w] = [o.input({ shape: [rows, k], dtype: "f32" }, "x"), o.input({ shape: [k, n], dtype: "f32" }, "w")];
    const p = compile({ inputs: [x, w], state: [], outputs: [o.matmul(x, w)], updates: [] }, codegen, { verify: true });
    expect(p.steps.every((s) => s.kind !== "launch" || !s.product)).toBe(true);
  });
});

/** A library of ours that counts its calls: right, as slow as is asked, and with whatever else it is asked to have. */
function fakeLibrary(name: string, more = "", slow = ""): Library & { readonly calls: () => number; readonly singles: () => number } {
  const gemm = (letter: string, type: string, operand = type, value = ""): string => `
    void ${letter}gemm_(const char* ta, const char* tb, const int* m, const int* n, const int* k, const ${type}* alpha, const ${operand}* a, const int* lda,
        const ${operand}* b, const int* ldb, const ${type}* beta, ${type}* c, const int* ldc) {
      __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
      ${slow}
      int down = *ta == 'T' ? *lda : 1, along = *ta == 'T' ? 1 : *lda, rows = *m;
      for (int j = 0; j < *n; j++) {
        ${type} *restrict to = c + j * *ldc;
        for (int i = 0; i < rows; i++) to[i] = *beta == 0 ? 0 : *beta * to[i];
        for (int p = 0; p < *k; p++) {
          const ${operand}* from = a + p * along;
          const ${type} by = *alpha * ${value}(b[*tb == 'T' ? p * *ldb + j : j * *ldb + p]);
          if (down == 1) for (int i = 0; i < rows; i++) to[i] += ${value}(from[i]) * by;
          else for (int i = 0; i < rows; i++) to[i] += ${value}(from[i * down]) * by;
        }
      }
    }`;
  const path = join(folder, `lib${name}.so`);
  const text = `#include <unistd.h>
    static int calls, singles;
    int fake_calls(void) { return calls; }
    int fake_singles(void) { return singles; }
    static float wide(unsigned short x) { union { unsigned bits; float value; } u = { (unsigned)x << 16 }; return u.value; }
    ${gemm("s", "float")} ${gemm("d", "double")} ${gemm("sb", "float", "unsigned short", "wide")} ${more}`;
  writeFileSync(`${path}.c`, text);
  execFileSync("cc", ["-O3", "-march=native", "-shared", "-fPIC", "-o", path, `${path}.c`]);
  const library = ffi().load(path);
  const count = (what: string) => () => library.func(what, "i32", [])() as number;
  return { path, identity: [path, statSync(path).size], margin: 1e9, calls: count("fake_calls"), singles: count("fake_singles") };
}
/** The largest difference from the interpreter in f64, as a part of the largest magnitude. */
function off(c: Case, got: readonly NdArray[]): number {
  const exact = interpret(valuesOf(c), c.feeds, { exact: true });
  let [most, largest] = [0, 0];
  got.forEach((x, i) => {
    for (let e = 0; e < x.data.length; e++) {
      const want = Number(exact[i]!.data[e]);
      most = Math.max(most, Math.abs(Number(x.data[e]) - want));
      largest = Math.max(largest, Math.abs(want));
    }
  });
  return most / largest;
}
/** Sums of so many products; those of bf16 are rounded once. */
const allowed = { f32: k * 2 ** -24, f64: k * 2 ** -53, bf16: 2 ** -8 } as const;
const uses = (dtype: keyof typeof allowed): Case[] => [
  ...Object.entries(libraryUses)
    .filter(([name]) => name !== "wide" || dtype === "bf16")
    .map(([name, [f]]) => caseOf(name, f, dtype)),
  caseOf("batched", batched, dtype),
  caseOf("batch", (x) => o.matmul(o.reshape(x.a, [2, m / 2, k]), o.expand(o.reshape(x.b, [1, k, n]), [2, k, n])), dtype),
];
async function on<T>(library: Library | "none", threads: number, f: (device: Device) => Promise<T>): Promise<T> {
  const device = await openC(undefined, { threads }, library);
  try {
    return await f(device);
  } finally {
    await device.close();
  }
}
async function run(device: Device, c: Case): Promise<number> {
  const [got] = await runCases([c], codegen, device);
  return off(c, got!);
}

describe.skipIf(typeof findCompiler() === "string")("the library on a device", () => {
  test("every use, cut among threads", { timeout: 120_000 }, async () => {
    const library = fakeLibrary("uses");
    for (const [dtype, threads] of [
      ["f32", 3],
      ["f64", 2],
      ["bf16", 2],
    ] as const)
      await on(library, threads, async (device) => {
        const cases = uses(dtype).filter((c) => dtype === "f32" || /both|residual|wide|batch /.test(c.name));
        const results = await runCases(cases, codegen, device);
        cases.forEach((c, i) => {
          expect(off(c, results[i]!), c.name).toBeLessThan(allowed[dtype]);
        });
      });
    expect(library.calls()).toBeGreaterThan(0);
  });

  test("measured once, then known; runs and counters are those of a kernel", async () => {
    const library = fakeLibrary(
      "once",
      "int MKL_Set_Num_Threads_Local(int n) { return __atomic_fetch_add(&singles, n, __ATOMIC_SEQ_CST); }",
    );
    const c = caseOf("once", (x) => o.linear(x.a, x.bt, x.bias));
    const kept = (): number => readdirSync(join(folder, "cache")).filter((f) => f.endsWith(".choice")).length;
    const before = kept();
    const counters = (device: Device): unknown => {
      const { bytes, launches, submissions, builds } = device.counters;
      return { bytes, launches, submissions, builds };
    };
    const without = await on("none", 2, async (device) => {
      expect(await run(device, c)).toBeLessThan(allowed.f32);
      return counters(device);
    });
    expect(library.calls()).toBe(0);
    const first = await on(library, 2, async (device) => {
      await run(device, c);
      const calls = library.calls();
      // Two threads, a block each; each is told to be single.
      expect(await run(device, c)).toBeLessThan(allowed.f32);
      expect(library.calls() - calls).toBe(2);
      return calls;
    });
    expect(first).toBeGreaterThan(2);
    // A thread that takes both blocks is told once.
    expect(library.singles()).toBeGreaterThanOrEqual(library.calls() / 2);
    expect(library.singles()).toBeLessThanOrEqual(library.calls());
    expect(kept() - before).toBe(1);
    await on(library, 2, async (device) => {
      const calls = library.calls();
      await run(device, c);
      expect(library.calls() - calls).toBe(2);
      expect(counters(device)).toMatchObject({ ...(without as object), builds: 0 });
    });
    // Blocking loads measure too.
    await on({ ...library, identity: ["another version"] }, 2, async (device) => {
      const calls = library.calls();
      device.loadSync(programOf(c)).unload();
      expect(library.calls() - calls).toBeGreaterThan(2);
    });
  });

  test("a library that is slower is asked for nothing", async () => {
    const library = { ...fakeLibrary("slow", "", "usleep(20000);"), margin: 0.95 };
    const c = caseOf("slow", (x) => o.matmul(x.a, x.b));
    await on(library, 2, async (device) => {
      expect(await run(device, c)).toBeLessThan(allowed.f32);
      const calls = library.calls();
      await run(device, c);
      expect(library.calls()).toBe(calls);
    });
  });

  test("libraries that are not safe among threads, or none at all, are not used", async () => {
    const serial = fakeLibrary("serial", "void openblas_set_num_threads(int n) {} int openblas_get_parallel(void) { return 0; }");
    expect(openBlas(serial)).toMatch(/not OpenBLAS's build on POSIX threads/);
    await on(serial, 2, async (device) => {
      expect(
        await run(
          device,
          caseOf("serial", (x) => o.matmul(x.a, x.b)),
        ),
      ).toBeLessThan(allowed.f32);
    });
    expect(serial.calls()).toBe(0);
    writeFileSync(join(folder, "text.so"), "no library");
    expect(openBlas({ path: join(folder, "text.so"), identity: [] })).toMatch(/does not load/);
    const named = process.env["TREEPIE_BLAS_PATH"];
    try {
      process.env["TREEPIE_BLAS_PATH"] = serial.path;
      expect(findBlas()).toMatchObject({ path: serial.path });
      process.env["TREEPIE_BLAS_PATH"] = join(folder, "nothing.so");
      expect(findBlas()).toBeUndefined();
      process.env["TREEPIE_BLAS_PATH"] = "none";
      expect(findBlas()).toBeUndefined();
    } finally {
      process.env["TREEPIE_BLAS_PATH"] = named;
    }
  });
});

/** The machine's own library, or the one that the environment names; or what there is instead. */
function own(): Library | string {
  const named = process.env["TREEPIE_BLAS_PATH"];
  if (named === "none") delete process.env["TREEPIE_BLAS_PATH"];
  try {
    const file = findBlas();
    if (!file) return "this machine has no BLAS";
    const opened = openBlas(file);
    return typeof opened === "string" ? opened : { ...file, margin: 1e9 };
  } finally {
    process.env["TREEPIE_BLAS_PATH"] = named;
  }
}
const found = typeof findCompiler() === "string" ? "no C compiler" : own();
if (typeof found === "string") process.stderr.write(`blas.test: products by the machine's own library are skipped: ${found}\n`);
describe.skipIf(typeof found === "string")(`this machine's BLAS (${typeof found === "string" ? `skipped: ${found}` : found.path})`, () => {
  test.each(["f32", "f64", "bf16"] as const)("every use in %s", { timeout: 120_000 }, async (dtype) => {
    await on(found as Library, 2, async (device) => {
      const cases = uses(dtype);
      const results = await runCases(cases, codegen, device);
      cases.forEach((c, i) => {
        expect(off(c, results[i]!), c.name).toBeLessThan(allowed[dtype]);
      });
    });
  });
});

/** Buffers larger than a binding, and larger than a buffer may be: lowered limits, so that small ones are. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { openWebGpu } from "../../src/backends/webgpu/device.js";
import { compile } from "../../src/compile/index.js";
import type { DType } from "../../src/core/dtype.js";
import { UnsupportedError } from "../../src/core/errors.js";
import { variable } from "../../src/core/expr.js";
import type { Node, Sample } from "../../src/ir/node.js";
import { templates } from "../../src/kernel/templates/index.js";
import * as ops from "../../src/ops/index.js";
import type { Device } from "../../src/runtime/device.js";
import type { Program } from "../../src/runtime/program.js";
import { verifyProgram } from "../../src/runtime/verify.js";
import { type Case, makeCase } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";
import { judge } from "../conformance/judge.js";
import { graphOf, runAll } from "../conformance/run.js";
import { withoutWebGpu } from "../support/webgpu.js";

const missing = await withoutWebGpu();
if (missing) console.error(`chunks on webgpu skipped: ${missing}`);

/** Bytes of a binding and of a buffer. */
const [chunk, piece] = [2048, 4096];
const codegen = webgpuCodegen({}, templates, { maxBinding: chunk, pieceBytes: piece });

const made = (name: string, dtype: DType, shapes: Sample["shapes"], call: Sample["call"], more: Partial<Sample> = {}): Case => {
  const sample: Sample = { shapes, call, ...more };
  return makeCase({ name, samples: [sample] }, sample, 0, dtype);
};
const rows = { dtypes: ["bf16", "i64"], range: [[-2, 2] as const, [0, 99] as const] } as const;

/** An optimizer's step, its state in place. */
function update(name: string, shape: readonly [number, number]): Case {
  const next = stream(name);
  const type = { shape, dtype: "f32" } as const;
  const feeds = new Map<Node, ReturnType<typeof draw>>();
  const given = (name: string, range: readonly [number, number]): Node => {
    const node = ops.input(type, name);
    feeds.set(node, draw(next, "f32", type.shape, range));
    return node;
  };
  const [p, g, m, v] = [given("p", [-1, 1]), given("g", [-1, 1]), given("m", [-1, 1]), given("v", [0, 1])];
  const mean = ops.add(ops.mul(m, 0.875), ops.mul(g, 0.125));
  const square = ops.add(ops.mul(v, 0.75), ops.mul(ops.mul(g, g), 0.25));
  const moved = ops.sub(ops.mul(p, 0.5), ops.div(mean, ops.add(ops.sqrt(square), 1)));
  const updates = [
    { state: p, value: moved },
    { state: m, value: mean },
    { state: v, value: square },
  ];
  return { name, op: "update", roots: [], feeds, updates };
}

const cases: readonly Case[] = [
  made(
    "product",
    "f32",
    [
      [40, 24],
      [24, 40],
    ],
    (a, b) => ops.matmul(a!, b!),
  ),
  made(
    "product",
    "bf16",
    [
      [40, 24],
      [24, 80],
    ],
    (a, b) => ops.matmul(a!, b!),
  ),
  made(
    "transposed product",
    "f32",
    [
      [24, 40],
      [24, 40],
    ],
    (a, b) => ops.matmul(ops.transpose(a!, 0, 1), b!),
  ),
  made(
    "matrix-vector",
    "bf16",
    [
      [1, 64],
      [80, 64],
    ],
    (x, w) => ops.matmul(x!, ops.transpose(w!, 0, 1)),
  ),
  made(
    "vector-matrix",
    "bf16",
    [
      [1, 80],
      [80, 64],
    ],
    (x, w) => ops.matmul(x!, w!),
  ),
  made("embedding", "bf16", [[100, 50], [9]], (w, at) => ops.embedding(at!, w!), rows),
  made("rows added", "f32", [[100, 10], [40], [40, 10]], (x, at, y) => ops.indexAdd(x!, 0, at!, y!), {
    dtypes: ["f32", "i64", "f32"],
    range: [
      [-2, 2],
      [0, 99],
      [-2, 2],
    ],
  }),
  made("softmax", "f32", [[20, 50]], (x) => ops.softmax(x!, 1)),
  made("column sums", "f16", [[60, 50]], (x) => ops.sum(x!, [0])),
  made("running sums", "f32", [[3, 300]], (x) => ops.cumsum(x!, 1)),
  made("comparison", "f32", [[2500]], (x) => ops.gt(x!, 0)),
  made("odd halves", "f16", [[2501]], (x) => ops.mul(x!, x!)),
  made("wide integers", "i64", [[600]], (x) => ops.add(x!, x!), { test: ["i64"], range: [-1e12, 1e12] }),
  made("cat", "f32", [[300], [400], [300], [200]], (...x) => ops.cat(x as Node[], 0)),
  update("update", [30, 31]),
  // More chunks than a kernel binds: launches over parts.
  update("long update", [90, 41]),
  made("long sum", "f32", [[3000], [3000]], (a, b) => ops.add(a!, b!)),
  made("long comparison", "f16", [[7001], [7001]], (a, b) => ops.gt(a!, b!)),
  made("long softmax", "f32", [[60, 70]], (x) => ops.softmax(x!, 1)),
  made("long rows", "bf16", [[140, 60], [60], [140, 60]], (x, w, y) => ops.add(ops.rmsNorm(x!, [60], w!), y!)),
  made("long wide integers", "i64", [[900], [900]], (a, b) => ops.mul(a!, b!), { test: ["i64"], range: [-1e9, 1e9] }),
];

describe.skipIf(missing)("buffers in chunks", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openWebGpu({}, piece);
  });
  afterAll(() => device.close());

  test("give what the interpreter gives", { timeout: 300_000 }, async () => {
    const { results, broken } = await runAll(cases, codegen, device, 100);
    expect(broken.map((b) => `${b.case.name}: ${b.why}`)).toEqual([]);
    expect([...results].flatMap(([c, got]) => judge(c, got, false).wrong)).toEqual([]);
  });
  test.each(cases.map((c) => [c.name, c] as const))("%s binds chunks", (_name, c) => {
    const p = compile(graphOf([c]), codegen, { name: "chunked", verify: true });
    const bound = p.kernels.map((k) => (k.chunks ? k.chunks.of.reduce((a, b) => a + b) : k.writes.length));
    expect(p.kernels.some((k) => k.chunks)).toBe(true);
    expect(Math.max(...bound)).toBeLessThanOrEqual(8);
    expect(p.steps.filter((s) => s.kind === "host")).toEqual([]);
  });
  test("a buffer of several buffers is written, copied and read at any byte", async () => {
    const bytes = Uint8Array.from({ length: 3 * piece + 77 }, (_, i) => (i * 37 + (i >> 8)) & 255);
    const [a, b] = [device.alloc(bytes.length), device.alloc(bytes.length)];
    device.write(a, 0, bytes);
    const expected = bytes.slice();
    for (const [at, n] of [
      [1, 2],
      [piece - 3, 7],
      [piece + 5, 2 * piece + 1],
      [bytes.length - 2, 2],
    ] as const) {
      const part = Uint8Array.from({ length: n }, (_, i) => (i * 11 + at) & 255);
      device.write(a, at, part);
      expected.set(part, at);
    }
    device.copy(a, b, bytes.length);
    for (const x of [a, b]) {
      expect(Buffer.compare(await device.read(x, 0, bytes.length), expected)).toBe(0);
      expect(Buffer.compare(await device.read(x, piece - 5, 2 * piece + 9), expected.slice(piece - 5, 3 * piece + 4))).toBe(0);
      device.free(x);
    }
    await device.sync();
  });
  test("temporaries of a call whose sizes it decides may be too large for a binding", async () => {
    const n = variable("n", 1, 1 << 20);
    const x = ops.input({ shape: [n], dtype: "f32" }, "x");
    const graph = { inputs: [x], state: [], outputs: [ops.exp(x)], updates: [] };
    const p = compile(graph, webgpuCodegen({}, templates, { maxBinding: 2 ** 31 - 4 }), { name: "symbolic", verify: true });
    const loaded = await device.load(p);
    const buffers = [device.alloc(2 * piece), device.alloc(2 * piece)];
    await expect(device.submit(loaded, { buffers, dims: [(2 * piece) / 4] })).rejects.toThrow(
      /symbolic: exp binds 8192 bytes.*fixed shapes/,
    );
    loaded.unload();
    for (const b of buffers) device.free(b);
  });
});

test("a file's chunks are checked", () => {
  const p = compile(graphOf([cases[0]!]), codegen, { name: "file" });
  const chunked = (chunks: NonNullable<Program["kernels"][number]["chunks"]>): Program => ({
    ...p,
    kernels: p.kernels.map((k) => (k.chunks ? { ...k, chunks } : k)),
  });
  verifyProgram(p);
  const count = p.kernels.find((k) => k.chunks)!.writes.length;
  for (const wrong of [
    { bytes: 3000, of: new Array(count).fill(2) },
    { bytes: 2048, of: [2] },
    { bytes: 2048, of: new Array(count).fill(2), from: [0] },
  ])
    expect(() => verifyProgram(chunked(wrong))).toThrow(/wrong chunks/);
});

test("launches over parts bind the chunks that they reach", () => {
  const [sum] = cases.filter((c) => c.name === "long sum.0 f32");
  const p = compile(graphOf([sum!]), codegen, { name: "parts", verify: true });
  // Three buffers of six chunks: two of each are as many as there are bindings for.
  expect(p.kernels.map((k) => k.chunks)).toEqual([0, 2, 4].map((first) => ({ bytes: 2048, of: [2, 2, 2], from: [first, first, first] })));
  expect(p.steps).toHaveLength(3);
});

test("what needs more bindings than there are says which operation, and what would help", () => {
  // Any part of a table may be asked for anywhere.
  const x = made("rows", "f32", [[500, 10], [30]], (w, at) => ops.embedding(at!, w!), {
    dtypes: ["f32", "i32"],
    range: [
      [-1, 1],
      [0, 499],
    ],
  });
  expect(() => compile(graphOf([x]), codegen, { name: "refused" })).toThrow(UnsupportedError);
  expect(() => compile(graphOf([x]), codegen, { name: "refused" })).toThrow(
    /^gather: .*3 buffers take 12 bindings of at most 2048 bytes.*has 8; split/,
  );
});

/** The one suite that every backend passes: all ops x samples x dtypes against the reference interpreter. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import type { Backend } from "../../src/kernel/codegen.js";
import type { Device } from "../../src/runtime/device.js";
import "../../src/ops/index.js";
import { allCases } from "./cases.js";
import { judge } from "./judge.js";
import { runAll } from "./run.js";

export interface ConformanceOptions {
  /** Cases of one program; kernels are compiled together. */
  readonly batch?: number;
  /** Dtypes that run; default all. */
  readonly dtypes?: readonly DType[];
  /** Dtypes of derivative graphs; default f32. */
  readonly derivatives?: readonly DType[];
  readonly threads?: number;
  /** Samples of each op that run; default all. */
  readonly samples?: number;
  /** Why the suite cannot run here; printed. */
  readonly skip?: string | undefined;
}

/** Registers the suite for one backend: one test for each op. */
export function conformance(backend: Backend, options: ConformanceOptions = {}): void {
  const skip = options.skip ?? backend.unavailable();
  if (skip) {
    console.warn(`conformance of ${backend.name} skipped: ${skip}`);
    describe.skip(`${backend.name}: ${skip}`, () => test("conformance", () => {}));
    return;
  }
  const only = process.env.TREEPIE_OPS?.split(",");
  const { cases, failed } = allCases({
    ...(only && { ops: only }),
    ...(options.samples && { samples: options.samples }),
    ...(options.dtypes && { dtypes: new Set(options.dtypes) }),
    derivatives: options.derivatives ?? ["f32"],
  });
  const problems = new Map<string, string[]>();
  const report = (op: string, what: string): void => void problems.set(op, [...(problems.get(op) ?? []), what]);
  for (const f of failed) report(f.op, `${f.name}: ${f.why}`);
  let device: Device;
  let compared = 0;
  const notCompared: string[] = [];

  describe(`conformance of ${backend.name}`, () => {
    beforeAll(async () => {
      const settings = options.threads ? { threads: options.threads } : {};
      device = await backend.open(settings);
      const codegen = backend.codegen(settings);
      const { results, broken } = await runAll(cases, codegen, device, options.batch ?? 100);
      for (const b of broken) report(b.case.op, `${b.case.name}: ${b.why}`);
      for (const [c, got] of results) {
        const found = judge(c, got, codegen.target.ieee);
        compared += got.length;
        notCompared.push(...found.notCompared);
        for (const why of found.wrong) report(c.op, why);
      }
    }, 900_000);
    afterAll(async () => {
      await device?.close();
    });

    for (const op of new Set([...cases.map((c) => c.op), ...failed.map((f) => f.op)])) {
      test(op, () => expect(problems.get(op) ?? []).toEqual([]));
    }
    test("at most 5 % of the results could not be compared", () => {
      for (const name of notCompared) console.warn(`not compared on ${backend.name}: ${name}`);
      expect(notCompared.length).toBeLessThanOrEqual(0.05 * compared);
    });
  });
}

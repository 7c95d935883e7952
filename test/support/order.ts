/** The order in which test files start: the longest first, so that at the end no worker is alone with one. */
import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take long for their size, the longest first. */
const long: readonly string[] = [
  "src/backends/c/conformance.test.ts",
  "src/backends/cuda/attention.test.ts",
  "test/golden/training.test.ts",
  "src/backends/webgpu/conformance.test.ts",
  "test/models/resnet.test.ts",
  "test/fuzz/graphs.test.ts",
  "src/kernel/templates/contract/contract.test.ts",
  "test/browser/wasm.test.ts",
  "test/cli/files.test.ts",
  "test/webgpu/whole.test.ts",
  "test/cli/train.test.ts",
  "src/backends/cuda/conformance.test.ts",
  "src/backends/c/blas.test.ts",
  "src/tensor/hazards.test.ts",
  "test/models/generate.test.ts",
  "src/backends/wasm/conformance.test.ts",
  "src/backends/cuda/decode.test.ts",
  "src/backends/js/conformance.test.ts",
  "src/tensor/compile/compile.test.ts",
  "test/models/queued.test.ts",
  "test/compile/streams.test.ts",
  "test/models/mixed.test.ts",
  "test/lower.test.ts",
  "src/tensor/programs.test.ts",
  "test/compile/symbolic.test.ts",
  "src/backends/interp/conformance.test.ts",
  "test/webgpu/rows.test.ts",
  "src/backends/c/codegen.test.ts",
];

/** Those first, then the others by their size; those that share processes after all that do not, since only neighbours share. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification): number => {
      const at = long.indexOf(relative(this.ctx.config.root, file.moduleId).replaceAll("\\", "/"));
      return (at < 0 ? long.length : at) + (file.project.config.isolate ? 0 : long.length + 1);
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/** What a page would load: the package's parts, bundled, minified and compressed. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { builtPackage } from "../support/build.js";

const dist = join(builtPackage(), "dist");
/** Bytes of the exports of some modules and of all that they import. A module of Node among them would be an error. */
async function bytesOf(...modules: readonly string[]): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: modules.map((m) => `export * from ${JSON.stringify(join(dist, m))};`).join("\n"), resolveDir: dist },
    bundle: true,
    format: "esm",
    platform: "neutral",
    minify: true,
    write: false,
    external: ["webgpu"],
    logLevel: "error",
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

test("the runtime with the wasm device is at most 80 KB, with webgpu 60 KB, the compiler with it at most 300 KB", async () => {
  const runtime = await bytesOf("runtime/public.js", "backends/wasm/device.js");
  const compiler = await bytesOf("tensor/index.js", "nn/index.js", "optim/index.js", "compile/index.js", "backends/wasm/index.js");
  const webgpu = await bytesOf("runtime/public.js", "backends/webgpu/device.js");
  console.log(
    `gzipped: runtime and wasm ${runtime} bytes, runtime and webgpu ${webgpu}, compiler, tensors, modules and wasm ${compiler} bytes`,
  );
  expect(runtime).toBeLessThanOrEqual(80_000);
  expect(webgpu).toBeLessThanOrEqual(60_000);
  expect(compiler).toBeLessThanOrEqual(300_000);
  expect(runtime).toBeGreaterThan(20_000);
});

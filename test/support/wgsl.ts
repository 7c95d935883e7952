/** For tests: Dawn without a GPU. It parses and checks WGSL with its extensions, and holds devices to the limits that every device has. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

export interface Module {
  readonly source: string;
  readonly entry: string;
}
/** Why Dawn cannot be used here, or undefined. */
export function withoutDawn(): string | undefined {
  try {
    createRequire(import.meta.url).resolve("webgpu");
    return undefined;
  } catch {
    return "the package webgpu is not installed";
  }
}

// Dawn may crash or hang when a process ends, so it gets a process of its own; the GPU object is let go of first.
const script = `
import { readFileSync, writeSync } from "node:fs";
import { create } from "webgpu";
const modules = JSON.parse(readFileSync(0, "utf8"));
const out = [];
{
  const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const adapter = await gpu.requestAdapter();
  const device = await adapter.requestDevice({ requiredFeatures: ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"] });
  for (const { source, entry } of modules) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: source });
    const info = await module.getCompilationInfo();
    const errors = info.messages.filter((m) => m.type === "error").map((m) => m.lineNum + ": " + m.message);
    if (!errors.length) device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: entry } });
    const error = await device.popErrorScope();
    if (error && !errors.length) errors.push(error.message);
    out.push(errors.join("\\n"));
  }
  device.destroy();
}
writeSync(1, JSON.stringify(out));
process.kill(process.pid, "SIGKILL");
`;

/** What Dawn says against each module: "" where it makes a pipeline of it. */
export function compileWgsl(modules: readonly Module[]): string[] {
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    input: JSON.stringify(modules),
    encoding: "utf8",
    timeout: 60_000,
    cwd: new URL(".", import.meta.url).pathname,
    maxBuffer: 1 << 26,
  });
  try {
    return JSON.parse(result.stdout) as string[];
  } catch (cause) {
    throw new Error(`Dawn gave no answer: ${result.stderr.slice(0, 2000)} ${result.error ?? ""}`, { cause });
  }
}

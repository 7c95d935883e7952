import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { builtPackage } from "../../test/support/build.js";
import { hasCompiler } from "../../test/support/kernels-in-c.js";

/** What a process of its own prints that has set so many threads and computed a value. */
async function tell(threads: string): Promise<{ readonly tasks: number; readonly sum: number; readonly late: string }> {
  const script = `import { readdirSync } from "node:fs";
    import { arange, closeDevices, ready, setDefaultBackend, setThreads } from ${JSON.stringify(join(builtPackage(), "dist/index.js"))};
    setThreads(${threads});
    setDefaultBackend("c");
    await ready();
    const sum = await arange(1 << 16, { dtype: "f32" }).mul(2).sum().item();
    const tasks = readdirSync("/proc/self/task").length;
    let late = "";
    try { setThreads(2); } catch (error) { late = error.message; }
    await closeDevices();
    setThreads(2);
    console.log(JSON.stringify({ tasks, sum, late }));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  return JSON.parse(stdout) as Awaited<ReturnType<typeof tell>>;
}

test.skipIf(!hasCompiler() || process.platform !== "linux")(
  "setThreads decides how many threads the c device has",
  async () => {
    const [one, four] = await Promise.all([tell("1"), tell("4")]);
    expect(four.tasks - one.tasks).toBe(3);
    expect(four.sum).toBe(2 ** 32 - 2 ** 16);
    expect(one.sum).toBe(four.sum);
    expect(one.late).toMatch(/is open already/);
    await expect(tell("0")).rejects.toThrow(/a whole number above 0/);
    await expect(tell("1.5")).rejects.toThrow(/a whole number above 0/);
  },
  180_000,
);

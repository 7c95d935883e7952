// The protocol of a JavaScript peer: see ../cpu.py. A job gives one variant, `run`.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** Raw f32 values of an input. */
export function values(input) {
  const bytes = readFileSync(input.file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Answers requests with the jobs that `load` gives: kind -> (spec, inputs) -> { values(), run(calls), close?() }. */
export async function serve(name, load) {
  const say = (x) => process.stdout.write(`${JSON.stringify(x)}\n`);
  // What libraries print must not get between the answers.
  console.log = console.info = console.error;
  let jobs;
  try {
    jobs = await load();
  } catch (error) {
    say({
      missing: `${name} is not installed or does not start (npm ci --ignore-scripts in bench/peers/js): ${error.message.split("\n")[0]}`,
    });
    process.exit(0);
  }
  say({ ready: name });
  let job;
  for await (const line of createInterface({ input: process.stdin })) {
    const r = JSON.parse(line);
    try {
      if (r.open) {
        if (!jobs[r.open]) throw new Error(`has no ${r.open}`);
        job = await jobs[r.open](r.spec, r.inputs);
        say({ variants: ["run"], failed: {} });
      } else if (r.values) {
        const all = await job.values();
        writeFileSync(r.file, all);
        say({ count: all.length });
      } else if (r.time) {
        const start = performance.now();
        await job.run(r.calls);
        say({ seconds: (performance.now() - start) / 1000 / r.calls });
      } else {
        job?.close?.();
        job = undefined;
        say({});
      }
    } catch (error) {
      say({ error: `${name}: ${error?.message ?? error}`.slice(0, 400) });
    }
  }
}

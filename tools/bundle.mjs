// Joins the modules of a built package into few files for Node, which takes a third of a second to find and link hundreds. Browsers,
// bundlers and the benchmarks read the modules as they are: whoever mixes both has two packages.
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/** Entries, and scripts of processes, by the name of their bundle; all lie in one folder, since places of other files are told from there. */
const entries = {
  index: "index",
  runtime: "runtime/index",
  nn: "nn/index",
  optim: "optim/index",
  data: "data/index",
  cli: "cli/index",
  "generate-main": "cli/generate-main",
  "compile-process": "backends/cuda/compile-process",
};

/** Writes DIST/node/, and makes the command line start from there. */
export async function bundle(dist) {
  await build({
    entryPoints: Object.entries(entries).map(([out, from]) => ({ out, in: join(dist, `${from}.js`) })),
    outdir: join(dist, "node"),
    chunkNames: "part-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    packages: "external",
    // Names of classes are shown to users.
    keepNames: true,
    logLevel: "warning",
  });
  const cli = join(dist, "cli/index.js");
  writeFileSync(cli, '#!/usr/bin/env node\nimport "../node/cli.js";\n');
  chmodSync(cli, 0o755);
}

/** `npm run bench -- --suite NAME [--only ROW] [--json FILE]`: runs a suite, prints its rows, and writes them as JSON. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Case, Row } from "./row.js";

/** Suites by name, loaded when asked for. */
const suites: Readonly<Record<string, () => Promise<{ readonly cases: readonly Case[] }>>> = {
  spine: () => import("./spine/index.js"),
};

const { values } = parseArgs({
  options: { suite: { type: "string" }, only: { type: "string" }, json: { type: "string" }, help: { type: "boolean" } },
});
const load = suites[values.suite ?? ""];
if (values.help || !load) {
  console.error(`usage: npm run bench -- --suite ${Object.keys(suites).join("|")} [--only ROW] [--json FILE]`);
  process.exit(values.help ? 0 : 2);
}
const { cases } = await load();
const chosen = cases.filter((c) => !values.only || c.name === values.only);
if (!chosen.length) {
  console.error(`no row named ${values.only}; rows: ${cases.map((c) => c.name).join(", ")}`);
  process.exit(2);
}
const rows: Row[] = [];
let failed = false;
const number = (x: number | null): string => (x === null ? "-" : x.toPrecision(4));
for (const c of chosen) {
  try {
    for (const r of await c.run()) {
      rows.push(r);
      const peer = r.peer === null ? "" : `  peer ${number(r.peer)} (${r.peerName})  ratio ${number(r.ratio)}`;
      const limit = r.limit === null ? "" : `  limit ${number(r.limit)}  fraction ${number(r.limitFraction)}`;
      console.log(`${r.name.padEnd(28)} ${number(r.ours)} ${r.unit} (${r.metric})${peer}${limit}${r.note ? `  [${r.note}]` : ""}`);
    }
  } catch (error) {
    failed = true;
    console.error(`${c.name}: ${error instanceof Error ? error.stack : error}`);
  }
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 1)}\n`);
process.exit(failed ? 1 : 0);

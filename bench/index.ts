/**
 * `npm run bench -- --suite NAME [--only ROW] [--json FILE] [--report FILE]`: runs a suite, prints its rows, writes them as JSON, and as
 * a table in Markdown. A row that fails is a row with an error; the suite goes on.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { report } from "./report.js";
import { type Bar, type Case, failedRow, type Row } from "./row.js";

/** Suites by name, loaded when asked for. */
interface Suite {
  readonly cases: readonly Case[];
  readonly bars?: Readonly<Record<string, Bar>>;
  readonly close?: () => Promise<void>;
}
const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  spine: () => import("./spine/index.js"),
  cpu: () => import("./cpu/index.js"),
  gpu: () => import("./gpu/index.js"),
  web: () => import("./web/index.js"),
  webgpu: () => import("./webgpu/index.js"),
};

const { values } = parseArgs({
  options: {
    suite: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    merge: { type: "boolean" },
    report: { type: "string" },
    help: { type: "boolean" },
  },
});
const name = values.suite ?? "";
const load = suites[name];
if (values.help || !load) {
  console.error(`usage: npm run bench -- --suite ${Object.keys(suites).join("|")} [--only ROW[,ROW]] [--json FILE [--merge]] [--report FILE]
--only runs some rows ("" none). --merge keeps the rows of FILE that this run does not measure. --report writes the rows as Markdown.`);
  process.exit(values.help ? 0 : 2);
}
const { cases, bars, close } = await load();
const rowsOf = (c: Case): readonly string[] => c.rows ?? [c.name];
const wanted = values.only?.split(",").filter(Boolean) ?? [];
const unknown = wanted.filter((w) => !cases.some((c) => rowsOf(c).includes(w)));
if (unknown.length) {
  console.error(`no row named ${unknown.join(", ")}; rows: ${[...new Set(cases.flatMap(rowsOf))].join(", ")}`);
  process.exit(2);
}
const rows: Row[] = [];
const number = (x: number | null): string => (x === null ? "-" : x.toPrecision(4));
function show(r: Row): void {
  const peer = r.peer === null ? "" : `  peer ${number(r.peer)} (${r.peerName})  ratio ${number(r.ratio)}`;
  const limit = r.limit === null ? "" : `  limit ${number(r.limit)}  fraction ${number(r.limitFraction)}`;
  const bar = r.bar ? `  ${r.met ? "met" : "MISSED"} (${Object.values(r.bar).join(", ")})` : "";
  const what = r.error ? `FAILED: ${r.error}` : `${number(r.ours)} ${r.unit} (${r.metric})${peer}${limit}${bar}`;
  console.log(`${r.name.padEnd(32)} ${what}${r.note ? `  [${r.note}]` : ""}`);
}
const before = values.json && values.merge && existsSync(values.json) ? (JSON.parse(readFileSync(values.json, "utf8")) as Row[]) : [];
const order = new Map(cases.flatMap(rowsOf).map((n, i) => [n, i]));
/** What is known so far, in the suite's order. */
function all(): readonly Row[] {
  const known = [...before.filter((b) => !rows.some((r) => r.name === b.name)), ...rows];
  return known.sort((a, b) => (order.get(a.name) ?? 1e9) - (order.get(b.name) ?? 1e9));
}
for (const c of cases) {
  const chosen = values.only !== undefined ? rowsOf(c).filter((r) => wanted.includes(r)) : rowsOf(c);
  if (!chosen.length) continue;
  let measured: readonly Row[];
  try {
    measured = await c.run(chosen);
  } catch (error) {
    measured = chosen.map((row) => failedRow({ suite: name, name: row, metric: "", unit: "" }, error));
    console.error(error);
  }
  for (const r of measured) {
    rows.push(r);
    show(r);
  }
  // Case by case: a long suite that is cut off has told what it knew.
  if (values.json) writeFileSync(values.json, `${JSON.stringify(all(), null, 1)}\n`);
}
await close?.();
if (values.report) {
  const known = all();
  const absent = cases.flatMap(rowsOf).filter((n) => !known.some((r) => r.name === n));
  const at = (row: string): { suite: string; name: string; metric: string; unit: string } => ({
    suite: name,
    name: row,
    metric: "",
    unit: "",
  });
  writeFileSync(values.report, report(name, [...known, ...absent.map((n) => failedRow(at(n), "not measured", bars?.[n]))], values.report));
}
process.exit(rows.some((r) => r.error) ? 1 : 0);

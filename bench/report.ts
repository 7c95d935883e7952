/** A suite's rows as a page of Markdown. */
import { availableParallelism, cpus, totalmem } from "node:os";
import type { Row } from "./row.js";

const number = (x: number | null): string =>
  x === null ? "-" : x >= 1000 ? String(Math.round(x)) : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toPrecision(3);
const share = (x: number | null): string => (x === null ? "-" : x.toFixed(2));

/** The page: date, machine, what the columns mean, and the table. */
export function report(suite: string, rows: readonly Row[], file: string): string {
  const asked = rows.filter((r) => r.bar);
  const lines = rows.map((r) => {
    const bar = [
      r.bar?.ratio?.toFixed(2),
      r.bar?.limitFraction !== undefined ? `${r.bar.limitFraction.toFixed(2)} of limit` : undefined,
      r.bar?.least?.toString(),
      r.bar?.most !== undefined ? `at most ${r.bar.most}` : undefined,
    ];
    const met = r.bar ? (r.met ? "yes" : "**no**") : "";
    const ours = r.error ? (r.error === "not measured" ? r.error : "failed") : `${number(r.ours)} ${r.unit}`;
    return `| ${[
      `\`${r.name}\``,
      ours,
      number(r.peer),
      r.peerName ?? "-",
      share(r.ratio),
      share(r.limitFraction),
      bar.filter(Boolean).join(", "),
      met,
    ].join(" | ")} |`;
  });
  const notes = rows.flatMap((r) => {
    const text = [r.error, r.metric, r.note].filter(Boolean).join("; ");
    return text ? [`* \`${r.name}\`: ${text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")}`] : [];
  });
  return `# Performance

Written by \`npm run bench -- --suite ${suite} --json runs/bench/${suite}.json --report ${file}\`; do not edit.

${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model.trim()} with ${availableParallelism()} cores in use, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}. ${asked.filter((r) => r.met).length} of ${asked.length} bars are met.

Ours and the peers do the same work, their results are compared, and then they are timed in turn in one run; each figure is a median.
A ratio above 1 means that ours is faster. The peer of a plain row is the best variant of PyTorch (eager, \`torch.compile\`, and for inference
\`torch.compile\` with frozen weights); a row with \`@\` has the JavaScript peer that it names. The limit is what the machine allows for the
row's work: the best rate measured before and after it, or, where memory is what binds, the bandwidth of plain reading or copying of as many
bytes on as many threads, measured in turn with the row, whose fraction is the median of what it reached in each turn. The machine is shared:
what it allows changes by up to a factor of two within seconds, ratios change less.

| row | ours | peer | peer's name | ratio | of limit | at least | met |
| --- | --- | --- | --- | --- | --- | --- | --- |
${lines.join("\n")}

## What was measured

${notes.join("\n")}
`;
}

// Runs the whole test suite and ends with one line: N passed, N failed (, N skipped).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const dir = mkdtempSync(join(tmpdir(), "treepie-test-"));
const report = join(dir, "report.json");
const args = ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)];
const { status } = spawnSync("npx", args, { stdio: "inherit", shell: process.platform === "win32" });
let result;
try {
  result = JSON.parse(readFileSync(report, "utf8"));
} catch {
  console.error("the test runner wrote no report");
  process.exit(status || 1);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
// A test that never ended: its process died. The runner counts it among those that were skipped, and does not say whose it was.
const unended = result.testResults.flatMap((f) =>
  f.assertionResults.filter((t) => t.status === "pending").map((t) => `${relative(process.cwd(), f.name)}: ${t.fullName}`),
);
for (const test of unended) console.error(`its process ended before it did: ${test}`);
const skipped = result.numPendingTests + result.numTodoTests - unended.length;
// A file that does not even load has no tests, so it must count by itself.
const broken = result.testResults.filter((f) => f.status === "failed" && f.assertionResults.length === 0).length;
const failed = result.numFailedTests + broken + unended.length;
console.log(`${result.numPassedTests} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exit(status || failed ? 1 : 0);

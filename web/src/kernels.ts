/** The table of kernels and their times. */
import { find } from "./elements.js";
import type { KernelTime } from "./protocol.js";

/** Writes it, and gives the microseconds of all of them. */
export function showKernels(times: readonly KernelTime[]): number {
  const total = times.reduce((sum, t) => sum + t.microseconds, 0);
  find("kernels", HTMLTableElement).tBodies[0]!.replaceChildren(
    ...times.map((t) => {
      const row = document.createElement("tr");
      const share = (100 * t.microseconds) / Math.max(1e-9, total);
      const cells = [t.label, t.microseconds.toFixed(1), `${share.toFixed(1)} %`, t.gigabytesPerSecond.toFixed(1)];
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }),
  );
  find("kernels-box", HTMLElement).hidden = false;
  return total;
}

/** Progress of long work: one live line on a terminal, plain lines now and then elsewhere. */

export interface Progress {
  /** Work done so far, and what to say about it. */
  update(done: number, detail: string): void;
  /** Ends the live line. */
  end(): void;
}

/** A bar with the time left, for `total` units of work. The clock starts at the first update: what comes before it is preparation. */
export function progress(total: number, unit: string, out: NodeJS.WriteStream = process.stderr): Progress {
  let begin: { readonly done: number; readonly at: number } | undefined;
  let shown = -Infinity;
  return {
    update(done, detail) {
      const now = performance.now();
      const last = done >= total;
      if (!last && now - shown < (out.isTTY ? 100 : 5000)) return;
      shown = now;
      const rate = begin ? (done - begin.done) / Math.max((now - begin.at) / 1000, 1e-9) : 0;
      begin ??= { done, at: now };
      const left = last ? "  0:00 left" : rate > 0 ? `  ${duration((total - done) / rate)} left` : "";
      const counts = `${done}/${total} ${unit}  ${detail}${left}`;
      if (!out.isTTY) out.write(`${counts}\n`);
      else out.write(`\r${bar(done / total)} ${counts}`.slice(0, Math.max(20, out.columns ?? 80)) + "\x1b[K");
    },
    end() {
      if (out.isTTY) out.write("\n");
    },
  };
}
const bar = (share: number): string => {
  const filled = Math.round(20 * Math.min(1, Math.max(0, share)));
  return `[${"#".repeat(filled)}${"-".repeat(20 - filled)}]`;
};

/** `1:05` for 65 seconds. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
/** `1.5 MiB` for 1572864. */
export function byteSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) {
    bytes /= 1024;
    i++;
  }
  return `${i === 0 ? bytes : bytes.toFixed(1)} ${units[i]}`;
}

/** Where the suite keeps what it makes: inputs, checkpoints with random weights, compiled helpers. All of it can be deleted. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { peersFolder } from "../peer.js";

/** A path under runs/bench/ of the clone, whose folder exists. */
export function benchPath(...parts: readonly string[]): string {
  const path = join(peersFolder, "..", "..", "runs", "bench", ...parts);
  mkdirSync(join(path, ".."), { recursive: true });
  return path;
}

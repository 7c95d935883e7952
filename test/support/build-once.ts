/** Folders under `build/` that are made once for what they are made of, and serve every test file until that changes. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const builds = resolve(import.meta.dirname, "../../build");
/** Age in milliseconds from which on a folder of other sources is removed. */
const old = 3_600_000;

/** A folder, and where it is made aside if it is not there yet. */
export interface Build {
  readonly folder: string;
  readonly aside?: string;
}
/** The folder of a kind and the hash of its sources. */
export function openBuild(kind: string, hash: string): Build {
  const folder = join(builds, `${kind}-${hash.slice(0, 16)}`);
  if (existsSync(folder)) return { folder };
  mkdirSync(builds, { recursive: true });
  for (const name of readdirSync(builds).filter((n) => n.startsWith(`${kind}-`)))
    if (Date.now() - statSync(join(builds, name)).mtimeMs > old) rmSync(join(builds, name), { recursive: true, force: true });
  const aside = `${folder}-${randomBytes(4).toString("hex")}.tmp`;
  mkdirSync(aside);
  return { folder, aside };
}
/** Puts what was made aside in its place, unless another process was first. */
export function closeBuild({ folder, aside }: Required<Build>): string {
  try {
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

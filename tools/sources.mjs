// What a build is made from: the hash of every source of the package.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** SHA-256 of the names and contents of `src/` without its tests, under the project's folder. */
export function sourcesHash(root) {
  const hash = createHash("sha256");
  for (const name of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).sort())
    if (name.endsWith(".ts") && !name.endsWith(".test.ts"))
      hash
        .update(`${name}\0`)
        .update(readFileSync(join(root, "src", name)))
        .update("\0");
  return hash.digest("hex");
}

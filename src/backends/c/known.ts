/** What was found out about a compiler, on disk: asking it means starting it, which costs a tenth of a second of a warm start. */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { platform } from "node:os";
import { basename, delimiter, join } from "node:path";
import { type Cache, cacheFor, sha256 } from "../../runtime/cache.js";

/** Compilers themselves; what is called otherwise (ccache, a wrapper, a Mac's stub) may start another one tomorrow. */
const itself = /^([\w.]+-)*(gcc|g\+\+|clang|cc)(-[\d.]+)?$/;

/** A text that changes when the compiler does; undefined where that cannot be told from its file. */
function identity([name, ...args]: readonly string[]): string | undefined {
  if (platform() !== "linux" || args.length) return undefined;
  const places = name!.includes("/") ? [name!] : (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder || ".", name!));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      const path = realpathSync(place);
      const { size, mtimeMs, ctimeMs, ino } = statSync(path);
      return itself.test(basename(path)) ? JSON.stringify([path, size, mtimeMs, ctimeMs, ino]) : undefined;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** The answer to a question about a compiler: from the cache while its file is unchanged, else by `ask`. Undefined is not kept. */
export function remembered<T extends string | readonly string[] | undefined>(
  command: readonly string[],
  question: readonly string[],
  ask: () => T,
  cache: () => Cache = () => cacheFor("compiler"),
): T {
  const compiler = identity(command);
  if (compiler === undefined) return ask();
  const key = sha256(JSON.stringify([compiler, question]));
  const known = cache().read(key);
  // What the cache holds under a key is what was written, or nothing.
  if (known) return JSON.parse(new TextDecoder().decode(known)) as T;
  const answer = ask();
  if (answer !== undefined) {
    try {
      cache().write(key, new TextEncoder().encode(JSON.stringify(answer)));
    } catch {
      // A full disk costs the next process time, nothing else.
    }
  }
  return answer;
}

import { join } from "node:path";
import { build } from "esbuild";

/** A module of this folder's `page/` as a page loads it: one file, in which nothing of Node may be left. */
export async function bundled(name: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "page", name)],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    write: false,
    // Dawn is for Node; a page never asks for it.
    external: ["webgpu"],
    logLevel: "error",
  });
  return outputFiles[0]!.contents;
}

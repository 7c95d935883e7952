/** Folders in the Hugging Face layout, made of the golden models. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostTensor, openSafetensors, writeSafetensors } from "../../src/runtime/index.js";

/** The trained model that some checkouts have beside them; undefined where it is not there. */
export function stories(): string | undefined {
  const folder = join(import.meta.dirname, "../../../shared/data/stories260K");
  if (existsSync(folder)) return folder;
  console.warn(`skipped: there is no trained model at ${folder}`);
  return undefined;
}

/** A golden model as a folder with one or several weight files; `change` may spoil it. */
export function makeFolder(
  name: string,
  options: {
    readonly shardBytes?: number;
    readonly change?: (config: Record<string, unknown>, weights: Map<string, HostTensor>) => void;
  } = {},
): string {
  const folder = mkdtempSync(join(tmpdir(), `treepie-${name}-`));
  const file = openSafetensors(new Uint8Array(readFileSync(join(import.meta.dirname, `../golden/models/${name}.safetensors`))));
  const prefix = "weights.";
  const weights = new Map(
    [...file.tensors.keys()].filter((k) => k.startsWith(prefix)).map((k) => [k.slice(prefix.length), file.read(k)] as const),
  );
  const config = JSON.parse(file.metadata["config"]!) as Record<string, unknown>;
  options.change?.(config, weights);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeSafetensors(join(folder, "model.safetensors"), weights, {
    metadata: { format: "pt" },
    ...(options.shardBytes !== undefined && { maxShardBytes: options.shardBytes }),
  });
  return folder;
}

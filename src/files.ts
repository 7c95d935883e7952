/** Tensors in files: safetensors by name, and checkpoints that go on where they stopped. */
import { openSafetensors as openFile, type Safetensors, writeSafetensors } from "./runtime/safetensors.js";
import { HostTensor } from "./runtime/tensor.js";
import { type CreateOptions, fromBytes, type Tensor } from "./tensor/index.js";

/** How tensors are written to a file. */
export interface SaveOptions {
  /** Texts that go with the tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** More bytes than this become several files and an index beside them. */
  readonly maxShardBytes?: number;
}
/** Writes tensors by name, whole or not at all: `await saveSafetensors("model.safetensors", model.stateDict())`. */
export async function saveSafetensors(path: string, tensors: Readonly<Record<string, Tensor>>, options: SaveOptions = {}): Promise<void> {
  const host = new Map<string, HostTensor>();
  for (const [name, t] of Object.entries(tensors)) host.set(name, new HostTensor(t.dtype, t.shape, await t.bytes()));
  writeSafetensors(path, host, options);
}

/** Where tensors that come from a file are put. */
export interface LoadOptions extends Pick<CreateOptions, "device"> {
  /** Only the tensors of which this is true. */
  readonly only?: (name: string) => boolean;
}
/**
 * The tensors of a safetensors file, of a sharded model's index or of the folder of either: `model.loadStateDict(loadSafetensors(path))`.
 * 8-bit floats widen to f32.
 */
export function loadSafetensors(path: string, options: LoadOptions = {}): Record<string, Tensor> {
  const { only, ...create } = options;
  const file: Safetensors = openFile(path);
  try {
    const tensors: Record<string, Tensor> = {};
    for (const name of file.tensors.keys()) {
      if (only && !only(name)) continue;
      const t = file.read(name);
      tensors[name] = fromBytes(t.bytes, t.shape, { ...create, dtype: t.dtype });
    }
    return tensors;
  } finally {
    file.close();
  }
}

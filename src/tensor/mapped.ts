/** Tensors whose values stay in a file, or come from there at once: a device that can reads them where they are. */
import { bytesOf, type DType } from "../core/dtype.js";
import { input } from "../ops/source.js";
import type { FileMapping, Read } from "../runtime/device.js";
import type { ByteSource } from "../runtime/file.js";
import { adopt, free } from "./collect.js";
import { currentDevice, engineOf } from "./device.js";
import { allocate } from "./holding.js";
import { newTensor } from "./record.js";
import { type Block, Storage, setStorage } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** A file that a device has mapped. */
export interface MappedFile {
  /** The values at an offset as a tensor that takes no memory; undefined where they do not lie at a whole element. It is copied when something changes it. */
  tensor(offset: number, shape: readonly number[], dtype: DType): Tensor | undefined;
  /** No more tensors are made. The file stays mapped for those that there are. */
  close(): void;
}

/**
 * A tensor with bytes that `read` puts, from a position on, into memory on its way to a device: they pass through no memory of the process.
 * Undefined where the device does not take them so.
 */
export async function readOnto(
  read: Read,
  shape: readonly number[],
  dtype: DType,
  device: string = currentDevice(),
): Promise<Tensor | undefined> {
  const engine = engineOf(device);
  await engine.open();
  const opened = engine.opened();
  const storage = new Storage({ shape, dtype });
  if (!opened.fill || !storage.bytes) return undefined;
  const block = allocate(engine, storage);
  try {
    await opened.fill(block.allocation!, storage.bytes, read);
  } catch (error) {
    free(block);
    throw error;
  }
  return held(storage, device);
}

/** A tensor of a realised value. */
function held(storage: Storage, device: string): Tensor {
  const leaf = input(storage.type);
  setStorage(leaf, storage);
  return newTensor(leaf, device);
}

/** Maps an open file on a device; undefined where the device cannot, or `source` is no file: then values are copied. */
export async function mapFile(source: ByteSource, device: string = currentDevice()): Promise<MappedFile | undefined> {
  const engine = engineOf(device);
  await engine.open();
  const mapping: FileMapping | undefined =
    source.descriptor === undefined ? undefined : engine.opened().map?.(source.descriptor, source.size);
  if (!mapping) return undefined;
  return {
    tensor(offset, shape, dtype) {
      const storage = new Storage({ shape, dtype });
      const allocation = storage.bytes ? mapping.part(offset, storage.bytes, bytesOf(dtype)) : undefined;
      if (!allocation) return undefined;
      const block: Block = { engine, allocation, adopted: false };
      storage.block = block;
      adopt(storage, block);
      return held(storage, device);
    },
    close: () => mapping.close(),
  };
}

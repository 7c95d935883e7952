/** A program's arguments in buffers that move from call to call, as graphs of launches must follow. */
import { fromBytes, toBytes } from "../../src/core/convert.js";
import { byteLength, NdArray } from "../../src/core/ndarray.js";
import type { Allocation, Device, Loaded } from "../../src/runtime/device.js";
import type { Port, Program } from "../../src/runtime/program.js";

/** Buffers of each argument, among which calls take turns, each argument at its own pace. */
const places = 3;

/** Runs a loaded program of constant sizes `calls` times on `inputs`, and says what each call has written. */
export async function* movingCalls(
  device: Device,
  { buffers, inputs, outputs }: Program,
  loaded: Loaded,
  given: readonly NdArray[],
  calls: number,
): AsyncGenerator<NdArray[]> {
  const shapeOf = (p: Port): readonly number[] => p.type.shape as readonly number[];
  const bytesOf = (p: Port): number => byteLength(p.type.dtype, shapeOf(p));
  const ports = [...inputs, ...outputs];
  const sets = Array.from({ length: places }, () => ports.map((p) => device.alloc(bytesOf(p))));
  for (const set of sets) for (const [i, { dtype, data }] of given.entries()) device.write(set[i]!, 0, toBytes(dtype, data));
  try {
    for (let call = 0; call < calls; call++) {
      const now = ports.map((_, i): Allocation => sets[(call * (i + 1)) % places]![i]!);
      const results = outputs.map((p, j) => [p, now[inputs.length + j]!] as const);
      for (const [p, a] of results) device.write(a, 0, new Uint8Array(bytesOf(p)));
      void device.submit(loaded, { buffers: buffers.map((_, b) => now[ports.findIndex((p) => p.buffer === b)]), dims: [] });
      const read = async ([p, a]: (typeof results)[number]): Promise<NdArray> =>
        new NdArray(p.type.dtype, shapeOf(p), fromBytes(p.type.dtype, await device.read(a, 0, bytesOf(p))));
      yield await Promise.all(results.map(read));
    }
  } finally {
    for (const a of sets.flat()) device.free(a);
  }
}

/** Who holds device memory. */
import { showType } from "../core/type.js";
import { collectAll, liveStorages, setMemoryText } from "./collect.js";
import { derivedFrom } from "./derived.js";
import { allEngines, synchronize } from "./device.js";
import { knownModules } from "./fields.js";
import { pendingCount } from "./pending.js";
import { type Storage, storageOf } from "./storage.js";
import { Tensor } from "./tensor.js";

/** One value in device memory. */
export interface HeldValue {
  readonly type: string;
  readonly bytes: number;
  /** Module fields that hold it, as `Linear.weight`, or `bf16 of Linear.weight` for a copy that compiled steps keep; empty where other code does. */
  readonly holders: readonly string[];
  /** A recorded operation may still read it. */
  readonly pinned: boolean;
}
/** What one device holds. */
export interface DeviceReport {
  readonly device: string;
  /** Bytes in use, the most ever, and freed ones kept for reuse. */
  readonly bytes: number;
  readonly peakBytes: number;
  readonly cachedBytes: number;
  /** Bytes that are read where they lie in files, not among `bytes`. */
  readonly mappedBytes: number;
  /** Bytes of values that tensors hold; the rest are arenas and constants of programs. */
  readonly valueBytes: number;
  readonly values: readonly HeldValue[];
  readonly programs: number;
  /** Jobs that wait for the device to open or for kernels to be built. */
  readonly waiting: number;
}
/** Who holds the memory of a device. */
export interface MemoryReport {
  readonly devices: readonly DeviceReport[];
  /** Recorded results that have not run. */
  readonly pending: number;
  toString(): string;
}

function holders(): Map<Storage, string[]> {
  const out = new Map<Storage, string[]>();
  const add = (s: Storage | undefined, name: string): void => {
    if (!s) return;
    const list = out.get(s);
    if (list) list.push(name);
    else out.set(s, [name]);
  };
  for (const m of knownModules())
    for (const [field, t] of Object.entries(m)) {
      if (!(t instanceof Tensor)) continue;
      const name = `${m.constructor.name}.${field}`;
      add(storageOf(t.cell.value), name);
      for (const d of derivedFrom(t.cell)) add(d.storage, `${d.dtype} of ${name}`);
    }
  return out;
}
/** Memory of all devices, largest values first. */
function report(): MemoryReport {
  const devices = look();
  const pending = pendingCount();
  return { devices, pending, toString: () => text(devices, pending) };
}
/** Apart from `report`, so that what it gives keeps nothing alive. */
function look(): DeviceReport[] {
  const names = holders();
  const live = [...liveStorages()];
  return allEngines().flatMap((e): DeviceReport[] => {
    if (!e.device) return [];
    const { bytes, peakBytes, cachedBytes, mappedBytes } = e.device.counters;
    const values = live
      .filter((s) => s.block?.engine === e)
      .map((s) => ({ type: showType(s.type), bytes: s.bytes, holders: names.get(s) ?? [], pinned: s.pinned }))
      .sort((a, b) => b.bytes - a.bytes);
    const valueBytes = values.reduce((n, v) => n + v.bytes, 0);
    return [
      { device: e.name, bytes, peakBytes, cachedBytes, mappedBytes, valueBytes, values, programs: e.programCount, waiting: e.waiting },
    ];
  });
}
function text(devices: readonly DeviceReport[], pending: number): string {
  const lines = devices.flatMap((d) => [
    `${d.device}: ${d.bytes} bytes (peak ${d.peakBytes}, ${d.cachedBytes} kept for reuse, ${d.mappedBytes} in mapped files); ${d.values.length} values of ${d.valueBytes} bytes, ${d.programs} programs`,
    ...d.values
      .slice(0, 20)
      .map((v) =>
        `  ${String(v.bytes).padStart(12)}  ${v.type}  ${v.holders.join(", ") || (v.pinned ? "read by recorded operations" : "")}`.trimEnd(),
      ),
    ...(d.values.length > 20 ? [`  and ${d.values.length - 20} smaller ones`] : []),
  ]);
  return [...lines, `${pending} recorded results have not run`].join("\n");
}

/** Looks at device memory. */
export const memory: {
  report(): MemoryReport;
  /** Waits for everything that runs, and frees what nobody can reach. */
  collect(): Promise<void>;
} = {
  report,
  async collect() {
    await synchronize();
    collectAll();
  },
};
setMemoryText(() => String(report()));

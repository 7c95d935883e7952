/**
 * Frees device memory of values that nobody can reach. JavaScript says so only through its garbage collector, which does not know
 * how much device memory hangs on a small object: when dead bytes may have piled up, the collector is run on purpose.
 */
import { builtin } from "../core/host.js";
import type { Engine } from "./engine.js";
import type { Block, Storage } from "./storage.js";

const blocks = new Map<Block, WeakRef<Storage>>();
const registry = new FinalizationRegistry<Block>((block) => free(block));

/** The storage owns the block: when the storage is unreachable, the block is freed. */
export function adopt(s: Storage, block: Block): void {
  if (block.adopted) registry.unregister(block);
  block.adopted = true;
  blocks.set(block, new WeakRef(s));
  registry.register(s, block, block);
}
/** Frees a block once. */
export function free(block: Block): void {
  if (block.adopted) {
    blocks.delete(block);
    registry.unregister(block);
    block.adopted = false;
  }
  const a = block.allocation;
  block.allocation = undefined;
  if (a && block.engine.device) block.engine.device.free(a);
}
/** Frees blocks whose storages were collected, and forgets those that were freed by hand. */
function sweep(): void {
  for (const [block, ref] of blocks) {
    if (!block.allocation) {
      blocks.delete(block);
      registry.unregister(block);
    } else {
      const owner = ref.deref();
      if (!owner || owner.block !== block) free(block);
    }
  }
}
/** Every live storage on a device. */
export function* liveStorages(): Generator<Storage> {
  for (const ref of blocks.values()) {
    const s = ref.deref();
    if (s?.block?.allocation) yield s;
  }
}

/** Runs the garbage collector where the runtime lets us, with objects kept alive by this turn of the event loop let go. */
let collectGarbage: (() => void) | null | undefined;
function collector(): (() => void) | null {
  if (collectGarbage !== undefined) return collectGarbage;
  collectGarbage = null;
  const [v8, vm] = [builtin("node:v8"), builtin("node:vm")];
  if (!v8 || !vm) return null;
  try {
    v8.setFlagsFromString("--expose-gc");
    const gc = vm.runInNewContext("gc") as (() => void) | undefined;
    if (!gc) return null;
    // Ending a microtask queue of its own lets go of what weak references of this turn keep alive.
    const context = vm.createContext({}, { microtaskMode: "afterEvaluate" });
    const turn = new vm.Script("0");
    collectGarbage = () => {
      turn.runInContext(context);
      gc();
    };
  } catch {
    collectGarbage = null;
  }
  return collectGarbage;
}

const slack = 1 << 20;
/** Bytes that a device may always hold before anything is collected: running the collector takes longer than a program of this size. */
const unlooked = 1 << 27;
const limits = new WeakMap<Engine, { bytes: number; blocks: number }>();
/** Collects when the device holds half as much again as it held after the last time. */
export function collectIfNeeded(engine: Engine): void {
  const device = engine.device!;
  let limit = limits.get(engine);
  if (!limit) limits.set(engine, (limit = { bytes: unlooked, blocks: 32768 }));
  if (device.counters.bytes <= limit.bytes && blocks.size <= limit.blocks) return;
  collect();
  if (device.counters.bytes > limit.bytes) collect();
  limit.bytes = Math.max(unlooked, device.counters.bytes * 1.5 + slack);
  limit.blocks = blocks.size * 2 + 32768;
}
/** Runs the collector now and frees what it finds. */
export function collect(): void {
  collector()?.();
  sweep();
}
/** Frees everything that is dead now: a cycle that was already under way keeps what was made during it, the next one does not. */
export function collectAll(): void {
  collect();
  collect();
}

let describe = (): string => "";
/** Sets what says who holds memory, for errors. */
export function setMemoryText(text: () => string): void {
  describe = text;
}
/** Who holds memory, in words. */
export const memoryText = (): string => describe();

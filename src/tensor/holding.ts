/** Where the values of storages lie on a device: memory is made, filled from the host, lent for a call, and written over. */
import { DeviceError } from "../core/errors.js";
import type { Call } from "../runtime/device.js";
import type { Program } from "../runtime/program.js";
import { adopt } from "./collect.js";
import type { Engine } from "./engine.js";
import type { Standing } from "./job.js";
import type { Prepared } from "./prepared.js";
import { type Block, release, Storage } from "./storage.js";

/** Values of so few bytes stay on the host, too. */
export const keepHostBelow = 4096;
/** Values up to this size are uploaded for the first program that reads them alone. */
const uploadOnceBelow = 16 << 20;
/** Values up to this size are handed over in memory that the program keeps. */
const handedBelow = 64 << 10;

/** Fresh device memory for a storage. */
export function allocate(engine: Engine, s: Storage): Block {
  const block = lend(engine, s);
  adopt(s, block);
  return block;
}
/** The same, for a storage that whoever asks releases, or adopts. */
export function lend(engine: Engine, s: Storage, bytes: number = s.bytes): Block {
  const block: Block = { engine, allocation: engine.opened().alloc(Math.max(bytes, 1)), adopted: false };
  s.block = block;
  return block;
}
/** The device memory that holds a storage, uploaded where it is only on the host. `transient` takes those that are released after the call. */
export function bind(engine: Engine, s: Storage, transient?: Storage[]): Block {
  if (s.job?.failed) throw s.job.hear();
  if (s.arriving) throw new DeviceError("a value is still on its way from another device; await it first");
  if (s.gone) throw new DeviceError(`a value that was ${s.gone} is needed again`);
  s.uses++;
  if (s.block) {
    if (s.block.engine !== engine)
      throw new DeviceError(
        `a value on device ${s.block.engine.name} is used on ${engine.name}; move it with \`.to("${engine.name}")\` first`,
      );
    return s.block;
  }
  if (!s.host) throw new DeviceError("a value has neither host bytes nor device memory");
  // Most host values (batches, numbers) are read by one program only; those that come back stay on the device.
  const once = transient !== undefined && s.uses === 1 && s.bytes <= uploadOnceBelow;
  const block = once ? lend(engine, s) : allocate(engine, s);
  if (s.bytes) engine.device!.write(block.allocation!, 0, s.host);
  if (once) transient.push(s);
  else if (s.bytes > keepHostBelow) s.host = undefined;
  return block;
}
/** A program's buffers with the inputs that calls have in common at their places. These stay on the device from the first call on, and are looked up once. */
export function bindStanding(engine: Engine, program: Program, standing: Standing | undefined): Call["buffers"][number][] {
  if (standing?.buffers) return standing.buffers.slice();
  const buffers: Call["buffers"][number][] = new Array(program.buffers.length).fill(undefined);
  if (!standing) return buffers;
  for (let i = 0; i < standing.inputs.length; i++)
    buffers[program.inputs[standing.first + i]!.buffer] = bind(engine, standing.inputs[i]!).allocation;
  if (standing.inputs.every((s) => !s.job)) standing.buffers = buffers.slice();
  return buffers;
}
/** A value of the host in memory that the program keeps for this input, so that a call moves nothing. */
export function hand(engine: Engine, s: Storage, prepared: Prepared, input: number): Block {
  let lent = prepared.lent[input];
  if (!lent || lent.bytes < s.bytes) {
    prepared.lent[input] = lent = new Storage(s.type);
    allocate(engine, lent);
  }
  s.uses++;
  if (s.bytes) engine.device!.write(lent.block!.allocation!, 0, s.host!);
  return lent.block!;
}
/** Memory that may be overwritten: the storage's own, or a copy where a recorded node still needs the old value. */
export function take(engine: Engine, s: Storage): Block {
  const own = bind(engine, s);
  if (s.pinned) return copyOf(engine, s, own);
  if (own.allocation!.readOnly) {
    const copy = copyOf(engine, s, own);
    release(s);
    s.gone = "overwritten by an update";
    return copy;
  }
  s.block = undefined;
  s.host = undefined;
  s.gone = "overwritten by an update";
  return own;
}

/** Memory that is written over while its storage stays. */
export function retake(engine: Engine, s: Storage): Block {
  let own = bind(engine, s);
  if (own.allocation!.readOnly) {
    const copy = copyOf(engine, s, own);
    release(s);
    s.block = own = copy;
    adopt(s, copy);
  }
  s.host = undefined;
  return own;
}
function copyOf(engine: Engine, s: Storage, own: Block): Block {
  const copy: Block = { engine, allocation: engine.opened().alloc(Math.max(s.bytes, 1)), adopted: false };
  if (s.bytes) engine.device!.copy(own.allocation!, copy.allocation!, s.bytes);
  return copy;
}

/** A small value that is on the host only, and that no program has read: most of them (numbers, positions) no other will. */
export const isFresh = (s: Storage): boolean =>
  s.uses === 0 && !s.block && s.host !== undefined && s.bytes <= handedBelow && !s.job && !s.gone;

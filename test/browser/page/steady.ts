/** The same work again and again: what is held after the first rounds is what is held after the last. Runs in Node and in a page. */
import type { Device } from "../../../src/runtime/public.js";
import { Session } from "../../../src/runtime/session.js";

export interface Steady {
  /** Bytes of JavaScript's heap after a tenth of the rounds and after all. */
  readonly heap: readonly [early: number, late: number];
  /** What the device counts at the same times. */
  readonly held: readonly [early: object, late: object];
}
export interface SteadyOptions {
  readonly file: Uint8Array;
  readonly rounds: number;
  open(): Promise<Device>;
  /** Bytes of JavaScript's heap, after a collection. */
  heap(): Promise<number>;
}
type Counted = Device["counters"];
const kept = ({ bytes, cachedBytes, mappedBytes }: Counted): object => ({ bytes, cachedBytes, mappedBytes });

/** Does one thing so many times and looks twice. */
async function watched(o: SteadyOptions, device: Device, round: (i: number) => Promise<void>): Promise<Steady> {
  let early: readonly [number, object] | undefined;
  for (let i = 1; i <= o.rounds; i++) {
    await round(i);
    if (i === o.rounds / 10) {
      await device.sync();
      early = [await o.heap(), kept(device.counters)];
    }
  }
  await device.sync();
  const late = [await o.heap(), kept(device.counters)] as const;
  return { heap: [early![0], late[0]], held: [early![1], late[1]] };
}

/** Opens a session of the file, runs its method `next` and closes it; a hundredth of the rounds with a device of their own. */
export async function openRunClose(o: SteadyOptions): Promise<Steady> {
  const device = await o.open();
  const steady = await watched(o, device, async (i) => {
    const own = i % 100 === 0 ? await o.open() : undefined;
    const session = await Session.open(o.file, { device: own ?? device });
    const { y } = await session.run("next", { x: [1, 2, 3, i] });
    if (Number(y!.data[3]) !== i + 1) throw new Error(`round ${i} gave ${String(y!.data)}`);
    await session.dispose();
    await own?.close();
  });
  await device.close();
  return steady;
}

/** Decodes token after token: each step takes what the one before gave. */
export async function decode(o: SteadyOptions): Promise<Steady> {
  const device = await o.open();
  const session = await Session.open(o.file, { device });
  const positions = Number(session.pie.metadata["positions"]);
  let token = 1;
  const steady = await watched(o, device, async (i) => {
    const { next } = await session.run("decode", { token: [token], position: i % positions });
    token = Number(next!.item());
  });
  await session.dispose();
  await device.close();
  return steady;
}

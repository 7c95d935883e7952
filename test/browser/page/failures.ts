/** What goes wrong, and what works right after it: a typed error, and then a session that runs. In Node and in a page. */
import { openWasm } from "../../../src/backends/wasm/device.js";
import { canShare, type Thread, threadMaker } from "../../../src/backends/wasm/workers.js";
import { type Allocation, type Device, HostTensor } from "../../../src/runtime/public.js";
import { Session } from "../../../src/runtime/session.js";

/** The class of an error and what it says. */
export type Failure = readonly [kind: string, message: string];

async function failureOf(work: () => unknown): Promise<Failure> {
  try {
    await work();
  } catch (error) {
    return [(error as Error).constructor.name, (error as Error).message];
  }
  throw new Error("nothing went wrong");
}
/** A session of the file gives x + 1. */
async function works(device: Device, file: Uint8Array): Promise<void> {
  const session = await Session.open(file, { device });
  const { y } = await session.run("next", { x: [1, 2, 3, 4] });
  await session.dispose();
  if (String([...y!.data]) !== "2,3,4,5") throw new Error(`a session after a failure gave ${String(y!.data)}`);
}

/** What each failure has to be. */
export const failuresWanted: Readonly<Record<string, readonly [kind: string, message: RegExp]>> = {
  "half a file": ["FormatError", /truncated/],
  "almost a file": ["FormatError", /truncated/],
  "more than a memory": ["OutOfMemoryError", /the limit is|4 GiB/],
  "one block too many": ["OutOfMemoryError", /a buffer of 512 MiB.*are held/],
  "a session where memory is full": ["OutOfMemoryError", /are held/],
  "an abort before it begins": ["RangeError", /^enough$/],
  "an abort while it runs": ["RangeError", /^enough$/],
  "a worker that dies": ["DeviceError", /a worker thread of the wasm device died/],
};
/** The same and what happens in pages only. */
export const pageFailuresWanted: typeof failuresWanted = {
  ...failuresWanted,
  "a worker that ends without a word": ["DeviceError", /a worker thread of the wasm device died: the browser ended it/],
};

/**
 * Failures by name; after each, a session works on the device that it happened to. `file` has the methods `next` and `long`. Without
 * threads nothing interrupts a program and no worker dies.
 */
export async function failures(file: Uint8Array): Promise<Readonly<Record<string, Failure>>> {
  const found: Record<string, Failure> = {};
  if (canShare() && "Worker" in globalThis) found["a worker that ends without a word"] = await silent(file);
  const device = await openWasm();
  await works(device, file);

  for (const [what, part] of [
    ["half a file", 0.5],
    ["almost a file", (file.length - 1) / file.length],
  ] as const) {
    found[what] = await failureOf(() => Session.open(file.slice(0, Math.floor(part * file.length)), { device }));
    await works(device, file);
  }

  found["more than a memory"] = await failureOf(() => device.alloc(2 ** 32));
  await works(device, file);
  const held: Allocation[] = [];
  found["one block too many"] = await failureOf(() => {
    for (;;) held.push(device.alloc(2 ** 29));
  });
  if (!held.length) throw new Error("not one block was allocated");
  found["a session where memory is full"] = await failureOf(async () => {
    for (let bytes = 2 ** 28; bytes >= 64; bytes /= 2) for (let full = false; !full; ) full = !take(device, bytes, held);
    await works(device, file);
  });
  for (const a of held) device.free(a);
  await works(device, file);

  const session = await Session.open(file, { device });
  const x = HostTensor.of("f32", [512, 512], new Float32Array(512 * 512).fill(1 / 512));
  found["an abort before it begins"] = await failureOf(() =>
    session.run("long", { x }, { signal: AbortSignal.abort(new RangeError("enough")) }),
  );
  await works(device, file);
  if (canShare()) {
    const stop = new AbortController();
    const stopped = failureOf(() => session.run("long", { x }, { signal: stop.signal }));
    setTimeout(() => stop.abort(new RangeError("enough")), 20);
    found["an abort while it runs"] = await stopped;
    await works(device, file);
  }
  await session.dispose();
  await device.close();

  if (canShare()) found["a worker that dies"] = await dying(file);
  return found;
}
/** The browser ends threads while they compute. */
async function silent(file: Uint8Array): Promise<Failure> {
  const own = globalThis as unknown as { Worker: new (...from: string[]) => { terminate(): void } };
  const { Worker } = own;
  const made: { terminate(): void }[] = [];
  own.Worker = class extends Worker {
    constructor(...from: string[]) {
      super(...from);
      made.push(this);
    }
  };
  // Threads that other devices left are not among them.
  const make = threadMaker();
  while (!made.length) make().end();
  made.length = 0;
  const device = await openWasm(undefined, { threads: 2 });
  const session = await Session.open(file, { device });
  const x = HostTensor.of("f32", [512, 512], new Float32Array(512 * 512).fill(1 / 512));
  const took = async (): Promise<number> => {
    const begun = performance.now();
    await session.run("long", { x });
    return performance.now() - begun;
  };
  await took();
  const middle = (await took()) / 2;
  // Threads that end between two programs are replaced, and nobody hears of it.
  const found = await failureOf(async () => {
    for (let round = 0; round < 50; round++) {
      const end = setTimeout(() => {
        for (const w of made.splice(0)) w.terminate();
      }, middle);
      await took().finally(() => clearTimeout(end));
    }
  });
  own.Worker = Worker;
  await session.dispose();
  await works(device, file);
  await device.close();
  return found;
}
function take(device: Device, bytes: number, into: Allocation[]): boolean {
  try {
    into.push(device.alloc(bytes));
    return true;
  } catch {
    return false;
  }
}

/** The first thread 0 throws while it starts; the ones after it work. */
async function dying(file: Uint8Array): Promise<Failure> {
  const make = threadMaker();
  let made = 0;
  const device = await openWasm(undefined, { threads: 2 }, () => {
    const t: Thread = make();
    if (made++ === 0) {
      t.post({ kind: "start", driver: undefined, memory: undefined });
      // A page's worker lives on after what it throws: it must not do its work before the page hears of that.
      t.post = () => {};
    }
    return t;
  });
  const session = await Session.open(file, { device });
  const failure = await failureOf(() => session.run("next", { x: [1, 2, 3, 4] }));
  await session.dispose();
  await works(device, file);
  await device.close();
  return failure;
}

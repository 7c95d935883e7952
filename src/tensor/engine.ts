/**
 * One device with what runs on it: programs by the structure of their graphs, and work in the order it was asked for. Work that
 * can start starts at once; the rest waits for the device to open or for kernels to be built, in order.
 */
import { DeviceError, OutOfMemoryError, UnsupportedError } from "../core/errors.js";
import type { Graph } from "../ir/graph.js";
import { graphKey, intern } from "../ir/intern.js";
import type { Backend, Codegen } from "../kernel/codegen.js";
import type { Call, Device, DeviceOptions, LoadOptions } from "../runtime/device.js";
import type { HostFunctions, Program } from "../runtime/program.js";
import { adopt, collect, collectIfNeeded, memoryText } from "./collect.js";
import { bind, bindStanding, hand, isFresh, keepHostBelow, lend, retake, take } from "./holding.js";
import { brokenBy, changing, hadValue, type Job, pendingOf, placeOf, type Queued, stateAfter, unsettled } from "./job.js";
import { bindDims, keepLoaded, outputBytes, type Prepared } from "./prepared.js";
import { type Block, release, renew, type Storage, Ticket } from "./storage.js";

/** Programs that an engine remembers; older ones live on where a compiled function or a queued run holds them. */
const mostPrograms = 1024;
/** Counts that tests read. */
export const engineCounters: { compiles: number; submissions: number } = { compiles: 0, submissions: 0 };

/** What opens a device by its backend's name. */
export interface Opener {
  /** How devices are opened. */
  options(): DeviceOptions;
  backend(): Promise<Backend>;
  readonly host: HostFunctions | undefined;
  compile(graph: Graph, codegen: Codegen): Program;
}

const inFlightLimit = 64;

/** A device, its programs and its queue. */
export class Engine {
  name: string;
  readonly opener: Opener;
  device: Device | undefined;
  codegen: Codegen | undefined;
  private opening: Promise<void> | undefined;
  private readonly programs = new Map<string, Prepared>();
  private readonly queue: Queued[] = [];
  private draining: Promise<void> | undefined;
  private inFlight = 0;

  constructor(name: string, opener: Opener) {
    this.name = name;
    this.opener = opener;
  }

  /** Opens the device; further calls wait for the same opening. */
  open(): Promise<void> {
    this.opening ??= this.openNow().catch((e: unknown) => {
      this.opening = undefined;
      throw e;
    });
    return this.opening;
  }
  private async openNow(): Promise<void> {
    const backend = await this.opener.backend();
    this.name = backend.name;
    const options = this.opener.options();
    // What code is made for may show only when the device is open.
    const device = await backend.open(options);
    this.codegen = backend.codegen(options);
    this.device = device;
  }
  /** The open device; the error says how to open it. */
  opened(): Device {
    if (!this.device)
      throw new DeviceError(`device ${this.name || "(default)"} is not open yet: \`await ready()\` once, or await a value first`);
    return this.device;
  }

  /** The program slot of a graph; equal structures share one. */
  prepare(graph: Graph): Prepared {
    const interned = intern(graph);
    const key = graphKey(interned);
    let p = this.programs.get(key);
    const known = p !== undefined;
    p ??= { graph: interned, program: undefined, loaded: undefined, loading: undefined, outputBytes: undefined, lent: [] };
    // A Map keeps the order of insertion: the first is the one that was asked for longest ago.
    this.programs.delete(key);
    this.programs.set(key, p);
    if (this.programs.size > mostPrograms) this.programs.delete(this.programs.keys().next().value!);
    if (!known && this.codegen) this.compile(p);
    return p;
  }
  private compile(p: Prepared): Program {
    if (!p.program) {
      engineCounters.compiles++;
      p.program = this.opener.compile(p.graph, this.codegen!);
    }
    return p.program;
  }
  private async load(job: Job): Promise<void> {
    const p = job.prepared;
    if (p.loaded) return;
    const program = this.compile(p);
    p.loading ??= this.opened()
      .load(program, this.loadOptions(program, job))
      .then((l) => {
        if (p.loaded) l.unload();
        else keepLoaded(p, l);
      })
      .finally(() => {
        p.loading = undefined;
      });
    await p.loading;
  }
  private loadSync(job: Job): void {
    const p = job.prepared;
    if (p.loaded) return;
    const program = this.compile(p);
    keepLoaded(p, this.opened().loadSync(program, this.loadOptions(program, job)));
  }
  private loadOptions(program: Program, job: Job): LoadOptions {
    const { host } = this.opener;
    return { dims: bindDims(program, job), ...(host && { host }) };
  }

  /** Puts a job behind all earlier ones, and starts what can start. */
  enqueue(job: Job): Ticket {
    const ticket = new Ticket();
    const queued = { job, ticket, needs: pendingOf(unsettled(job)), follows: changing(job.states), starved: 0 };
    for (const s of job.outputs) s.job = ticket;
    for (let i = 0; i < job.becomes.length; i++) {
      const s = job.becomes[i]!;
      s.job = ticket;
      if (s === job.states[i]) renew(s);
    }
    this.queue.push(queued);
    this.startReady();
    if (this.queue.length) {
      this.loadAll();
      this.drain();
    }
    return ticket;
  }
  /** Builds the programs of all waiting jobs side by side; what fails is told when it is that job's turn. */
  private loadAll(): void {
    if (!this.device) return;
    for (const { job } of this.queue) if (!job.prepared.loaded && !job.prepared.loading) this.load(job).catch(() => {});
  }
  /** Starts jobs whose programs are loaded, as far as order allows. */
  private startReady(): void {
    while (this.device && this.queue.length) {
      const head = this.queue[0]!;
      if (head.starved || !head.job.prepared.loaded || unsettled(head.job).some(onItsWay)) return;
      this.queue.shift();
      this.start(head);
    }
  }
  private drain(): Promise<void> {
    this.draining ??= this.drainNow().finally(() => {
      this.draining = undefined;
      if (this.queue.length) this.drain();
    });
    return this.draining;
  }
  private async drainNow(): Promise<void> {
    while (this.queue.length) {
      const head = this.queue[0]!;
      try {
        if (!this.device) await this.open();
        this.loadAll();
        await this.load(head.job);
        for (const s of unsettled(head.job)) await s.arriving;
        if (head.starved) await this.makeRoom();
      } catch (e) {
        if (this.queue[0] === head) this.queue.shift();
        this.fail(head, e, "kept");
        continue;
      }
      if (head.starved && this.queue[0] === head) this.start(this.queue.shift()!);
      this.startReady();
    }
  }
  /** Waits for what runs, lets finalizers run, and frees what nobody can reach. */
  private async makeRoom(): Promise<void> {
    await this.device?.sync();
    await new Promise((done) => setTimeout(done, 0));
    collect();
  }
  /** Runs everything that waits, blocking. */
  drainSync(): void {
    const device = this.opened();
    if (!device.blocking) throw new UnsupportedError(`device ${this.name} cannot block: use \`await\` with data(), item() or evaluate()`);
    while (this.queue.length) {
      const head = this.queue[0]!;
      try {
        this.loadSync(head.job);
      } catch (e) {
        this.queue.shift();
        this.fail(head, e, "kept");
        continue;
      }
      this.start(this.queue.shift()!);
    }
  }

  /** Binds buffers and submits. Never throws: a failure belongs to the job's outputs. */
  private start(queued: Queued): void {
    const { job, ticket } = queued;
    ticket.started = true;
    const before = brokenBy(queued);
    if (before) {
      this.fail(queued, before.hear(), "kept");
      return;
    }
    const device = this.device!;
    const transient: Storage[] = [];
    let submitted = false;
    try {
      collectIfNeeded(this);
      const { prepared } = job;
      const program = prepared.program!;
      const buffers = bindStanding(this, program, job.standing);
      const dims = bindDims(program, job);
      for (let i = 0; i < job.inputs.length; i++) {
        const s = job.inputs[i]!;
        const place = placeOf(i, job.standing);
        const block = device.ordered && isFresh(s) ? hand(this, s, prepared, place) : bind(this, s, transient);
        buffers[program.inputs[place]!.buffer] = block.allocation!;
      }
      for (let i = 0; i < job.states.length; i++) {
        const before = job.states[i]!;
        const after = job.becomes[i]!;
        const block = after === before ? retake(this, before) : (after.block ?? take(this, before));
        if (!after.block) {
          after.block = block;
          adopt(after, block);
        }
        buffers[program.state[i]!.buffer] = block.allocation!;
      }
      for (let i = 0; i < job.outputs.length; i++) {
        const { buffer } = program.outputs[i]!;
        buffers[buffer] = lend(this, job.outputs[i]!, outputBytes(prepared, program, i, dims)).allocation!;
      }
      const times = job.times ?? 1;
      engineCounters.submissions += times;
      const call: Call = { buffers, dims };
      submitted = true;
      if (this.inFlight >= inFlightLimit && device.blocking) {
        for (let i = 0; i < times; i++) device.submitSync(prepared.loaded!, call);
        this.settle(queued);
        return;
      }
      this.inFlight++;
      const one = (): Promise<void> => device.submit(prepared.loaded!, call, job.signal);
      const done: Promise<unknown> = times === 1 ? one() : Promise.all(Array.from({ length: times }, one));
      done.then(
        () => {
          this.inFlight--;
          this.settle(queued);
        },
        (e: unknown) => {
          this.inFlight--;
          this.fail(queued, e, times === 1 ? stateAfter(e) : "lost");
        },
      );
    } catch (e) {
      if (submitted && stateAfter(e) === "lost") this.fail(queued, e, "lost");
      else {
        for (const s of job.outputs) release(s);
        this.refused(queued, e);
      }
    } finally {
      // What the device need not wait for.
      for (const s of transient) release(s);
      for (const s of job.outputs) if (s.block && !s.block.adopted) adopt(s, s.block);
    }
  }

  /** A job that could not start. Where memory was short, it is tried again: at once, and then when what runs has ended. */
  private refused(queued: Queued, e: unknown): void {
    if (!(e instanceof OutOfMemoryError)) this.fail(queued, e, "kept");
    else if (++queued.starved > 2) this.fail(queued, new OutOfMemoryError(`${e.message}\n${memoryText()}`, { cause: e }), "kept");
    else if (queued.starved === 1) {
      collect();
      this.start(queued);
    } else {
      queued.ticket.started = false;
      this.queue.unshift(queued);
      this.drain();
    }
  }

  /** Work that has run; what it read or changed may turn out to have failed before it. */
  private settle(queued: Queued): void {
    const { job, ticket } = queued;
    const before = brokenBy(queued);
    if (before) {
      // State that an earlier step left as it was is sound; what was made of values that never were is not.
      if (!queued.needs.includes(before)) ticket.kept = job.becomes.filter((_, i) => hadValue(queued, i));
      ticket.settle(before.hear());
      return;
    }
    for (const s of job.outputs) if (s.job === ticket) s.job = undefined;
    for (const s of job.becomes) if (s.job === ticket) s.job = undefined;
    ticket.settle();
  }
  /** Tells of a failure. What failed before it began has changed no state: that can be used again by those who know. */
  private fail(queued: Queued, e: unknown, state: "kept" | "lost"): void {
    const { job, ticket } = queued;
    if (state === "kept") ticket.kept = job.becomes.filter((_, i) => hadValue(queued, i) && this.restore(job.states[i]!, job.becomes[i]!));
    ticket.settle(e ?? new DeviceError(`${job.name} failed`));
  }
  /** Gives state that was to change its old value; false where there is no memory even for that. */
  private restore(before: Storage, after: Storage): boolean {
    if (after === before || after.block || after.host) return true;
    try {
      if (before.host && !before.block && !before.job?.failed) after.host = before.host;
      else adopt(after, (after.block = take(this, before)));
      return true;
    } catch {
      return false;
    }
  }

  /** Bytes of a storage as they are after all that was asked for so far. */
  async read(s: Storage): Promise<Uint8Array> {
    const ticket = s.job;
    if (s.host && (!ticket || ticket.started)) return s.host;
    if (ticket && !ticket.started) {
      s.pinned = true; // what is asked for after this must not write over it
      await ticket.done;
      if (s.host) return s.host;
    }
    const { stamp } = s;
    const bytes = await this.opened().read(this.block(s), 0, s.bytes);
    if (ticket) await ticket.done;
    return s.stamp === stamp ? this.keep(s, bytes) : bytes;
  }
  readSync(s: Storage): Uint8Array {
    if (s.host) return s.host;
    this.drainSync();
    return this.keep(s, this.opened().readSync(this.block(s), 0, s.bytes));
  }
  private block(s: Storage): NonNullable<Block["allocation"]> {
    if (s.job?.failed) throw s.job.hear();
    if (!s.block?.allocation) throw new DeviceError(`a value that was ${s.gone ?? "never computed"} is read`);
    return s.block.allocation;
  }
  /** Small values stay on the host once they were read: a loss holds no device memory. */
  private keep(s: Storage, bytes: Uint8Array): Uint8Array {
    if (s.bytes > keepHostBelow) return bytes;
    s.host = bytes;
    release(s);
    return bytes;
  }

  /** Resolves when everything asked for has run. */
  async sync(): Promise<void> {
    while (this.queue.length) await this.drain();
    await this.device?.sync();
  }
  /** Jobs that wait for the device or for a build. */
  get waiting(): number {
    return this.queue.length;
  }
  get programCount(): number {
    return this.programs.size;
  }
  async close(): Promise<void> {
    if (this.opening) await this.opening;
    await this.sync();
    await this.device?.close();
    this.device = undefined;
    this.opening = undefined;
    this.programs.clear();
  }
}

const onItsWay = (s: Storage): boolean => s.arriving !== undefined;

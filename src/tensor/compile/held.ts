/** Where the values of a compiled function's tensors are: found once, for as long as none of them changes. */
import type { Standing } from "../job.js";
import type { Storage } from "../storage.js";
import { tellOnce, type Watcher } from "../watch.js";
import type { Recording } from "./recording.js";
import type { Captured } from "./trace.js";

export interface Found {
  /** What the function only reads. */
  readonly standing: Standing;
  /** What it writes. */
  readonly states: readonly Storage[];
}

export class Held implements Watcher {
  readonly #recording: Recording;
  readonly #self: WeakRef<Watcher> = new WeakRef<Watcher>(this);
  found: Found | undefined;
  /** The function's own call gives what it writes other storages, and says which. */
  #own = false;

  constructor(recording: Recording) {
    this.#recording = recording;
  }
  /** Looks for all values; undefined where one does not exist yet, or was disposed. */
  find(): Found | undefined {
    const { argumentLeaves, read, feeds, written } = this.#recording;
    const inputs: Storage[] = [];
    const states: Storage[] = [];
    if (!collect(read, inputs) || !collect(written, states)) return undefined;
    inputs.push(...feeds);
    for (const s of inputs) s.watched = true;
    // A value that is read or written under another name as well survives.
    const met = new Set(inputs);
    for (const s of states) {
      if (met.has(s)) s.pinned = true;
      met.add(s);
    }
    tellOnce(this.#self);
    this.found = { standing: { inputs, first: argumentLeaves.length, buffers: undefined }, states };
    return this.found;
  }
  /** Other storages of what the function writes, given by `write` in its own call: everything else stays where it was found. */
  replace(states: readonly Storage[], write: () => void): void {
    const { found } = this;
    this.#own = true;
    write();
    this.#own = false;
    if (!found) return;
    this.found = { standing: found.standing, states };
    tellOnce(this.#self);
  }
  forget(): void {
    if (this.#own) return;
    if (this.found) this.found.standing.buffers = undefined;
    this.found = undefined;
  }
}

/** The values of cells, which are watched from now on; false where one has none. */
function collect(captured: readonly Captured[], into: Storage[]): boolean {
  for (const { cell } of captured) {
    cell.watched = true;
    const s = cell.disposed ? undefined : cell.realised;
    if (!s) return false;
    into.push(s);
  }
  return true;
}

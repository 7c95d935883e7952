/** Where the values of nodes are. A node is immutable, so a realised value stays with its node for as long as anyone holds it. */
import { byteLength } from "../core/ndarray.js";
import { slot } from "../core/slot.js";
import type { TensorType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Allocation } from "../runtime/device.js";
import { free } from "./collect.js";
import type { Engine } from "./engine.js";
import { changed } from "./watch.js";

/** Device memory that one storage owns; freed with it. */
export interface Block {
  readonly engine: Engine;
  allocation: Allocation | undefined;
  /** It is freed with its storage, not only by hand. */
  adopted: boolean;
}

/** Work that fills storages. Most of it is never waited for, so the promise is made only where somebody asks. */
export class Ticket {
  /** It was handed to the device: what is asked of the device from now on comes after it. */
  started = false;
  failed: unknown;
  /** Of work that failed before it began: state that it would have changed, and that is what it was. */
  kept: readonly Storage[] | undefined;
  private over = false;
  private promise: Promise<void> | undefined;
  private resolve: (() => void) | undefined;
  private reject: ((e: unknown) => void) | undefined;

  /** Settles when the work has run. */
  get done(): Promise<void> {
    if (!this.promise) {
      this.promise = this.over
        ? this.failed === undefined
          ? Promise.resolve()
          : Promise.reject(this.hear())
        : new Promise<void>((resolve, reject) => {
            this.resolve = resolve;
            this.reject = reject;
          });
      this.promise.catch(() => {}); // whoever reads an output sees the failure
    }
    return this.promise;
  }
  /** The work has run, or failed. */
  settle(failed?: unknown): void {
    this.over = true;
    this.failed = failed;
    if (failed === undefined) this.resolve?.();
    else if (this.reject) this.reject(this.hear());
  }
  /** The failure, for somebody who passes it on: once it is known, the state that was kept may be used again. */
  hear(): unknown {
    for (const s of this.kept ?? []) if (s.job === this) s.job = undefined;
    return this.failed;
  }
}

let stamps = 0;
/** A realised value: bytes on the host, memory on a device, or both. */
export class Storage {
  readonly type: TensorType;
  readonly bytes: number;
  host: Uint8Array | undefined;
  /** Somebody is told when it moves, or work is asked for that fills it. */
  watched = false;
  private memory: Block | undefined;
  private work: Ticket | undefined;
  /** Names the value that it holds, among all of the process: a new one with each program that is to write over it. */
  stamp: number = ++stamps;
  /** A recorded node may still read this value: it must not be overwritten in place. */
  pinned = false;
  /** How many programs have read it. */
  uses = 0;
  /** Several nodes have this one value. */
  shared = false;
  /** Number of the compiled call that was given it last. */
  call = 0;
  /** Set while the bytes come from another device. */
  arriving: Promise<void> | undefined;
  /** What became of the value, when it was given away or disposed. */
  gone: string | undefined;

  constructor(type: TensorType, host?: Uint8Array) {
    this.type = type;
    this.bytes = byteLength(type.dtype, type.shape as readonly number[]);
    this.host = host;
  }
  get block(): Block | undefined {
    return this.memory;
  }
  set block(block: Block | undefined) {
    if (this.watched && this.memory) changed();
    this.memory = block;
  }
  /** Set while the work that fills this storage waits or runs. */
  get job(): Ticket | undefined {
    return this.work;
  }
  set job(job: Ticket | undefined) {
    if (this.watched && job) changed();
    this.work = job;
  }
}

/** Says that a program, asked for now, will write over the value. */
export function renew(s: Storage): void {
  s.stamp = ++stamps;
}

const storages = slot<Node, Storage>();
/** The realised value of a node, if it has one. */
export const storageOf = (n: Node): Storage | undefined => storages.get(n);
/** Says where the value of a node is. */
export function setStorage(n: Node, s: Storage): void {
  storages.set(n, s);
}
/** Gives a storage's device memory back; its host bytes, if any, remain. */
export function release(s: Storage): void {
  const block = s.block;
  s.block = undefined;
  if (block) free(block);
}
/** Gives all memory of a value back, where no recorded node may still read it. */
export function giveBack(s: Storage): void {
  if (s.pinned || s.shared) return;
  release(s);
  s.host = undefined;
  s.gone = "disposed";
}

/** A number, or a few, that are handed to a program with each call. */
export interface HostLiteral {
  readonly values: readonly (number | bigint)[];
  /** In a trace: which host value of the trace it is. */
  readonly slot?: number;
}
const literals = slot<Node, HostLiteral>();
export const literalOf = (n: Node): HostLiteral | undefined => literals.get(n);
export const setLiteral = (n: Node, l: HostLiteral): void => void literals.set(n, l);

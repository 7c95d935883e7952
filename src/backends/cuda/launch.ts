/** What a program's launches are made of. */
import type { HostStep, Sizes } from "../../runtime/encode.js";
import type { Addresses } from "../../runtime/prepared.js";
import type { Tile } from "../../runtime/program.js";

/** Native memory of the host. */
export interface HostMemory {
  readonly address: bigint;
  readonly bytes: ArrayBuffer;
}
/** What the launches need of the device. */
export interface Places extends Addresses {
  /** Host memory of at least that many bytes, instead of `old`. */
  host(bytes: number, old: HostMemory | undefined): HostMemory;
  /** The kernel that copies, and how many threads its points have. */
  copy(): bigint;
  /** Device memory for library calls to work in. */
  take(bytes: number): bigint;
  give(address: bigint, bytes: number): void;
  /** Does something once the GPU is done with everything enqueued so far. */
  settled(work: () => void): void;
}
/** Launches without a host step between them, or a host step. */
export type Segment =
  | { readonly kind: "native"; readonly from: number; readonly to: number; readonly graphs: Graph[]; runs: number }
  | { readonly kind: "host"; readonly step: HostStep };
/** Launches of a segment as a graph of the driver. */
export interface Graph {
  readonly graph: bigint;
  readonly exec: bigint;
  /** One for each launch of the segment. */
  readonly nodes: readonly bigint[];
  /** Where it has the buffers that moved since sizes were laid out. */
  readonly at: Map<number, bigint>;
  /** When it ran last. */
  used: number;
}
/** A step, laid out. */
export interface Launch {
  /** Number of its step in the program. */
  readonly step: number;
  readonly function: bigint;
  readonly grid: number;
  readonly threads: number;
  readonly shared: number;
  readonly buffers: readonly number[];
  /** Which of them it writes. */
  readonly writes: readonly boolean[];
  /** Which of them it may read before the launch that it depends on has ended, for which it then waits itself (`KernelCode.early`). */
  readonly early?: readonly boolean[] | undefined;
  readonly dims: readonly number[];
  readonly tiles: readonly Tile[];
  /** A library's call in place of the kernel, and where its workspace begins. */
  readonly call?: LibraryCall | undefined;
  workspace: number;
  /** Where its tiles' descriptors, its parameters' addresses and its description for a graph lie in the host memory. */
  maps: number;
  parameters: number;
  node: number;
}

/** What a library does in place of a step's kernel. */
export interface LibraryCall {
  /** Bytes of workspace. */
  readonly workspace: number;
  /** The program's buffers that it touches, and which it writes; absent: the step's. */
  readonly touches?: { readonly buffers: readonly number[]; readonly writes: readonly boolean[] };
  /** Steps that it does as well, counted from its own. */
  readonly also: readonly number[];
  /** Enqueues it; `addresses` are those of its buffers. */
  enqueue(addresses: readonly bigint[], workspace: bigint, stream: bigint): void;
}
/** What computes a step that a library could compute: the library's call, or undefined for its kernel. */
export type Chooser = (step: number, sizes: Sizes) => LibraryCall | undefined;

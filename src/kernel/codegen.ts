import type { DType } from "../core/dtype.js";
import type { Node } from "../ir/node.js";
import { type Device, type DeviceOptions, deviceName } from "../runtime/device.js";
import type { AttentionCall, KernelCode, Product, Program, TargetKey } from "../runtime/program.js";
import type { Group } from "./group.js";
import type { Kernel, MatrixUnit } from "./kernel.js";

/** A backend is one folder exporting one of these. */
export interface Backend {
  readonly name: string;
  /** Why this backend cannot work on this machine, or undefined. Cheap; loads no native code. */
  unavailable(): string | undefined;
  codegen(options?: DeviceOptions): Codegen;
  open(options?: DeviceOptions): Promise<Device>;
}

/** The backend of a device's name: `cuda:1` is the backend cuda on its second device. */
export function backendFor(name: string, backend: Backend): Backend {
  const [, index] = deviceName(name);
  if (index === undefined) return backend;
  return {
    ...backend,
    name,
    codegen: (options) => backend.codegen({ ...options, index }),
    open: (options) => backend.open({ ...options, index }),
  };
}

/** The compile-time half of a backend: pure, needs no device, testable on any machine. */
export interface Codegen {
  readonly name: string;
  readonly key: TargetKey;
  readonly target: Target;
  /** Text that precedes these kernels in a compilation unit: what they call. */
  prelude(kernels: readonly KernelCode[]): string;
  render(kernel: Kernel): KernelCode;
  /** Templates that may take a node before it is decomposed, best first. */
  readonly claims: readonly Template[];
  /** The program as machine code, for machines that cannot compile its text; absent where text is all that is needed. */
  readonly binary?: (program: Program, signal?: AbortSignal) => Promise<Program>;
}

/** How much of what comes later a kernel asks for, in bytes. */
export interface Ahead {
  /** Of its own operands, as it begins. */
  readonly own: number;
  /** Of the next kernels' operands, as it ends: what memory brings while one kernel ends and another begins. */
  readonly next: number;
}

/** What differs between devices, as data. The compiler looks at these fields and never at a backend's name. */
export interface Target {
  readonly dtypes: ReadonlySet<DType>;
  /** False: no kernels at all; every node becomes a host step (the reference interpreter). */
  readonly kernels: boolean;
  /** Most threads per grid point; 1 on a CPU. */
  readonly threads: number;
  /** Neighbouring threads that exchange values without a barrier; absent where there are none. */
  readonly warp?: number;
  /** f32 lanes of one vector value (CPU) or of one memory access (GPU). */
  readonly lanes: number;
  /** Lanes may be native vector values (C), or are written one by one. */
  readonly vectors: "native" | "unrolled";
  /** Vector registers (CPU) or 32-bit registers per thread (GPU). */
  readonly registers: number;
  /** All that a turn of a loop reads is in registers before any of it is used. */
  readonly loadsFirst?: true;
  /** Bytes: L1 and L2 of one core (CPU), nothing (GPU). */
  readonly caches: readonly number[];
  /** Bytes that long streams are asked for ahead of their use; 0 where hardware sees to it. */
  readonly prefetch: number;
  /** Streams far from each other that a core reads from memory faster, unasked, than one that is asked for ahead; absent where it does not. */
  readonly streams?: number;
  /** Bytes of later operands that kernels ask for into a cache that all grid points share; absent where nothing is asked for. */
  readonly ahead?: Ahead;
  /** Launches of few grid points begin before what they depend on has ended, wait for that themselves, and copy to `shared` storage in the background meanwhile. */
  readonly early?: true;
  /** Bytes of `shared` storage that one grid point may have. */
  readonly sharedBytes: number;
  /** Grid points that run at once. */
  readonly parallel: number;
  readonly units: readonly MatrixUnit[];
  /** Dtypes of which one instruction multiplies and sums neighbours, a word at a time (`dot2`, `dot4`). */
  readonly dots?: ReadonlySet<DType>;
  /** Blocks of sixteen rows of sixteen words are transposed in registers (`turn`); absent where elements are moved one by one. */
  readonly turns?: true;
  /** Bindings of global buffers in one kernel, and whether a buffer may be bound twice. */
  readonly maxBuffers: number;
  readonly aliasing: boolean;
  /** Most grid points of a launch. */
  readonly maxGrid: number;
  /** Bytes of the largest binding: larger buffers take several (`kernel/bindings.ts`). */
  readonly maxBinding: number;
  /** Temporaries cross no multiple of this many bytes that they could keep clear of; absent where memory lies in one piece. */
  readonly pieceBytes?: number;
  /** Bytes that the place of every temporary is a multiple of; absent where 64 will do. */
  readonly alignment?: number;
  /** What rows of a product's operands and results should begin at multiples of, in bytes: temporaries have them so far apart. Absent: they are dense. */
  readonly rowBytes?: number;
  /** A buffer is read in whole vectors only where every store to it writes whole vectors. */
  readonly wholeVectors?: true;
  /** Dtypes of which neighbours share a word of memory, so that a store of less than a word is two atomic ones; absent: none. */
  readonly packed?: ReadonlySet<DType>;
  readonly atomics: ReadonlySet<DType>;
  /** NaN, infinities and -0 follow IEEE 754 in generated code. */
  readonly ieee: boolean;
  /** A library that may be on the device and multiplies matrices; absent where there is none. */
  readonly products?: ProductLibrary;
  /** A library that may be on the device and computes attention of half floats; absent where there is none. */
  readonly attention?: AttentionLibrary;
}

/** What a library of products can do. */
export interface ProductLibrary {
  /** What programs call it. */
  readonly library: Product["library"];
  /** Dtypes of operands. */
  readonly dtypes: ReadonlySet<DType>;
  /** Bytes that the place of every matrix is a multiple of. */
  readonly alignment: number;
  /** It has gelu by tanh behind a product. */
  readonly gelu?: true;
}

/** What a library of attention asks for. */
export interface AttentionLibrary {
  /** What programs call it. */
  readonly library: AttentionCall["library"];
  /** Bytes that the place of every row is a multiple of. */
  readonly alignment: number;
  /** Operations from which on a call is worth what preparing it takes. */
  readonly leastOperations: number;
}

/** A way to compute a node that builds Kernels itself: matmul, scan, sort, scatter. Prologue and epilogue are ordinary nodes of the group. */
export interface Template {
  readonly name: string;
  /** True, or the reason why not. */
  match(node: Node, target: Target): true | string;
  /** Whether elementwise and movement producers of input `i` may be evaluated where the template reads it; a string is the reason why not. */
  prologue(node: Node, input: number, target: Target): true | string;
  /** An operand that the prologue refuses may still be read through index maps: what they map lies in memory. */
  views?(node: Node, input: number, target: Target): boolean;
  /** Whether elementwise consumers may be evaluated where results leave; a string is the reason why not. `whole` is the group with them. */
  epilogue(node: Node, target: Target, whole: () => Group): true | string;
  /** Whether these nodes may be computed in one kernel where an elementwise value reads them; a string is the reason why not. Absent: never. */
  beside?(nodes: readonly Node[], target: Target): true | string;
  /** In how many equal parts a product's inner dim is cut, for a sum of products of the parts; 1: it stays whole. Absent: never cut. */
  parts?(node: Node, target: Target): number;
  /** Whether each element of operand `input` is read at most once, so that computing it there costs nothing. */
  readsOnce?(node: Node, input: number, target: Target): boolean;
  /** Whether operand `input` is only read at the position where the result is then written, which may therefore be the same memory. */
  overwrites?(node: Node, input: number): boolean;
  /** Rows of inputs and outputs may lie further apart than they are long (`Group.pitches`). */
  readonly pitched?: true;
  /** The group's kernels, in order. Several share `scratch` buffers that the group declares. */
  lower(group: Group, target: Target): readonly Kernel[];
  /** The group's one kernel as the call of a library, which a device may make in its place; a string is the reason why not. */
  product?(group: Group, kernel: Kernel, target: Target): Product | string;
  /** All of the group's kernels as a library's attention, by the names of their buffers; a string is the reason why not. */
  attention?(group: Group, target: Target): AttentionCall<string> | string | undefined;
}

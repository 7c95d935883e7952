import type { DType } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import type { TensorType } from "../core/type.js";

/** What a program was compiled for. A device meets a key when backend and format are equal and it has every feature. */
export interface TargetKey {
  readonly backend: string;
  /** Instruction set or SM, e.g. "x86-64" or "sm_90"; "any" where text is portable. */
  readonly arch: string;
  /** CPU or GPU features that the code uses. */
  readonly features: readonly string[];
  readonly format: number;
}

/** A compiled method: plain data. Saving it is serialising it; running it needs a Device and nothing else. */
export interface Program {
  readonly version: 1;
  readonly name: string;
  readonly key: TargetKey;
  /** Symbolic dims; the caller's input shapes bind them. */
  readonly dims: readonly DimRange[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Values that live between calls, by name; steps may write them in place. */
  readonly state: readonly Port[];
  readonly buffers: readonly BufferPlan[];
  /** Bytes of the arena for one call; offsets of temporaries lie inside. */
  readonly arena: Dim;
  readonly prelude: string;
  readonly kernels: readonly KernelCode[];
  readonly steps: readonly Step[];
}
/** A symbolic size by name, with its least and greatest value. */
export interface DimRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}
/** A named value that crosses the program's border, and the buffer that holds it. */
export interface Port {
  readonly name: string;
  readonly type: TensorType;
  readonly buffer: number;
}
export interface BufferPlan {
  /** constant: bytes that travel with the program. temp: in the arena at `offset`. alias: another buffer, whole. */
  readonly role: "input" | "output" | "state" | "constant" | "temp";
  readonly dtype: DType;
  /** Elements. */
  readonly size: Dim;
  /** temp: byte offset into the arena; temps overlap when their lifetimes do not. */
  readonly offset?: Dim;
  /** constant: little-endian contents. */
  readonly data?: Uint8Array;
}
/** One kernel as text or bytes. `entry` is its symbol; equal kernels of a program are stored once. */
export interface KernelCode {
  readonly entry: string;
  readonly source: string | Uint8Array;
  readonly threads: number;
  /** Dynamic shared memory (GPU) or scratch per thread (CPU), in bytes. */
  readonly sharedBytes: Dim;
  /** Which arguments the kernel writes, in order of its buffers. */
  readonly writes: readonly boolean[];
  /**
   * The kernel waits by itself for the launches that it depends on, so that it may begin before they have ended; until then it reads those
   * arguments alone that are marked here. Absent: it does not wait.
   */
  readonly early?: readonly boolean[];
  /**
   * Bindings of each argument where some are bound in chunks, bytes of every chunk but an argument's last, and the first chunk of each
   * that is bound, or null of those that are bound whole; absent where all chunks are bound.
   */
  readonly chunks?: { readonly bytes: number; readonly of: readonly number[]; readonly from?: readonly (number | null)[] };
  /** Tiles that a launcher describes to the device when buffers are bound. */
  readonly tiles?: readonly Tile[];
}
/** Part of a buffer that is copied as a whole: the kernel's buffer as rows of `columns` elements, and rows and columns of the part. */
export interface Tile {
  readonly buffer: number;
  readonly columns: number;
  readonly box: readonly [number, number];
}
/** `beside`: it needs nothing of the steps before it back to the last one without this mark, so all of them may run at once. */
export type Step =
  | {
      readonly kind: "launch";
      readonly kernel: number;
      readonly buffers: readonly number[];
      readonly dims: readonly Dim[];
      readonly grid: Dim;
      readonly beside?: true;
      /** The same as a library's call, for devices that have the library. */
      readonly product?: Product;
      readonly attention?: AttentionCall;
      /** What it computes and why it is one kernel, for `explain`. */
      readonly note?: StepNote;
    }
  | { readonly kind: "copy"; readonly from: number; readonly to: number; readonly beside?: true; readonly note?: StepNote }
  /** The reference implementation, on the host: `call` names the op, `payload` holds its attributes in canonical form. */
  | {
      readonly kind: "host";
      readonly call: string;
      readonly payload: string;
      readonly inputs: readonly number[];
      readonly outputs: readonly number[];
      readonly inputTypes: readonly TensorType[];
      readonly outputTypes: readonly TensorType[];
      readonly note?: StepNote;
    };
/** d = a b + c + bias, through gelu: [batch, m, k] x [batch, k, n] in the memory of a step's buffers. */
export interface Product {
  /** cuBLASLt, or whichever library of Fortran's BLAS the machine has. */
  readonly library: "cublaslt" | "blas";
  readonly batch: Dim;
  readonly m: Dim;
  readonly n: Dim;
  readonly k: Dim;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly d: Matrix;
  readonly c?: Matrix;
  /** n values that are added to every row. */
  readonly bias?: Pick<Matrix, "argument" | "offset">;
  /** By tanh. */
  readonly gelu?: true;
  /** Operands of f32 may be rounded to tf32. */
  readonly tf32?: true;
}
/** Where a matrix lies, in elements. */
export interface Matrix {
  /** Which of the step's buffers. */
  readonly argument: number;
  readonly offset: Dim;
  /** From one row to the next, or from one column to the next where it is `turned`. */
  readonly row: Dim;
  /** From one matrix of the batch to the next. */
  readonly each: Dim;
  readonly turned?: true;
}
/**
 * softmax(q kᵀ scale) v of each head, or where there is `backward` its derivatives, as a library's call: all of one half float, in the
 * memory of buffers: the program's by number, a kernel's by name. Nothing of it is symbolic.
 */
export interface AttentionCall<B = number> {
  readonly library: "cudnn";
  /** Steps that it stands in for besides its own, counted from that. */
  readonly also: readonly number[];
  readonly batch: number;
  readonly heads: number;
  /** Each serves a run of `heads / keyHeads` query heads. */
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  /** Sizes of a query and a key, and of a value. */
  readonly depth: number;
  readonly width: number;
  /** Query i sees keys 0 to i only. */
  readonly causal?: true;
  readonly scale: number;
  readonly q: Heads<B>;
  readonly k: Heads<B>;
  readonly v: Heads<B>;
  /** The result, which derivatives read. */
  readonly out: Heads<B>;
  /** Buffer of each row's logarithm of its sum, dense f32 over [batch, heads, queries], which derivatives read. */
  readonly rows: B;
  readonly backward?: { readonly ct: Heads<B>; readonly dq: Heads<B>; readonly dk: Heads<B>; readonly dv: Heads<B> };
}
/** Where rows of heads lie in a buffer, in elements; those of a row side by side. */
export interface Heads<B = number> {
  readonly buffer: B;
  readonly offset: number;
  /** From one of the batch, of the heads, of the rows to the next. */
  readonly batch: number;
  readonly head: number;
  readonly row: number;
}
export interface StepNote {
  readonly tier: "claimed" | "generated" | "interpreted" | "copy";
  readonly label: string;
  readonly ops: readonly string[];
  readonly why: readonly string[];
  /** Bytes read and written. */
  readonly bytes: Dim;
}
/** Runs a host step on bytes: the full package passes its interpreter, the small runtime passes none. `dims` binds symbolic attributes. */
export type HostFunction = (
  payload: string,
  inputs: readonly { readonly type: TensorType; readonly bytes: Uint8Array }[],
  outputs: readonly TensorType[],
  dims: Readonly<Record<string, number>>,
) => readonly Uint8Array[];
/** Gives the function that a host step names, or undefined. */
export type HostFunctions = (call: string) => HostFunction | undefined;

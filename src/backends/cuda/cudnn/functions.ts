/** cuDNN's backend functions: descriptors that take attributes and are then finished. */
import { DeviceError } from "../../../core/errors.js";
import { ffi, type NativeArg, type NativeFunction, type NativeType } from "../../../runtime/ffi.js";

/** Numbers of the library's header: kinds of descriptors. */
export const kinds = {
  pointwise: 0,
  engine: 3,
  heuristics: 4,
  plan: 5,
  pointwiseOperation: 13,
  graph: 15,
  pack: 16,
  tensor: 17,
  product: 18,
  productOperation: 19,
  reduction: 21,
  reductionOperation: 22,
  reshapeOperation: 31,
} as const;
/** Types of attributes. */
export const types = {
  handle: 0,
  dtype: 1,
  boolean: 2,
  i64: 3,
  pointer: 6,
  heuristics: 8,
  pointwise: 14,
  descriptor: 15,
  reduction: 18,
  char: 24,
} as const;
type AttributeType = (typeof types)[keyof typeof types];

/** The functions of a library. */
export interface Functions {
  /** 91900 is 9.19.0. */
  readonly version: number;
  create(): bigint;
  destroy(handle: bigint): void;
  setStream(handle: bigint, stream: bigint): void;
  /** Makes a descriptor. */
  make(kind: number): bigint;
  set(descriptor: bigint, name: number, type: AttributeType, values: ArrayBufferView & { readonly length: number }): void;
  /** Values of an attribute into `into`, as many as there are; their number. */
  get(descriptor: bigint, name: number, type: AttributeType, into: (ArrayBufferView & { readonly length: number }) | undefined): number;
  /** Finishes a descriptor, which says whether the library takes it. Throws DeviceError where it does not. */
  finish(descriptor: bigint): bigint;
  free(descriptor: bigint): void;
  execute(handle: bigint, plan: bigint, pack: bigint): void;
}

/** Loads a library. */
export function functionsOf(path: string): Functions {
  const library = ffi().load(path);
  const load = (name: string, result: NativeType, ...args: readonly NativeType[]): NativeFunction =>
    library.func(`cudnn${name}`, result, args);
  const said = load("GetLastErrorString", "void", "pointer", "i64");
  const why = (): string => {
    const text = new Uint8Array(512);
    said(text, text.length);
    return new TextDecoder().decode(text.subarray(0, text.indexOf(0))).trim();
  };
  const checked = (name: string, ...args: readonly NativeType[]): ((...xs: readonly NativeArg[]) => void) => {
    const f = load(name, "i32", ...args);
    return (...xs) => {
      const status = f(...xs) as number;
      if (status !== 0) throw new DeviceError(`cudnn${name} failed with status ${status}: ${why()}`);
    };
  };
  const [p, i, l] = ["pointer", "i32", "i64"] as const;
  const [create, make] = [checked("Create", p), checked("BackendCreateDescriptor", i, p)];
  const [set, get] = [checked("BackendSetAttribute", p, i, i, l, p), checked("BackendGetAttribute", p, i, i, l, p, p)];
  const finish = checked("BackendFinalize", p);
  const made = (f: (out: BigInt64Array) => void): bigint => {
    const out = new BigInt64Array(1);
    f(out);
    return out[0]!;
  };
  return {
    version: Number(load("GetVersion", "i64")()),
    create: () => made((out) => create(out)),
    destroy: checked("Destroy", p),
    setStream: checked("SetStream", p, p),
    make: (kind) => made((out) => make(kind, out)),
    set: (descriptor, name, type, values) => set(descriptor, name, type, values.length, values),
    get: (descriptor, name, type, into) => Number(made((count) => get(descriptor, name, type, into?.length ?? 0, count, into ?? 0))),
    finish: (descriptor) => {
      finish(descriptor);
      return descriptor;
    },
    free: checked("BackendDestroyDescriptor", p),
    execute: checked("BackendExecute", p, p, p),
  };
}

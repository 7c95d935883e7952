/** The driver's functions as typed calls that throw, and the GPUs that it knows. */
import { DeviceError, OutOfMemoryError, UnsupportedError } from "../../core/errors.js";
import { ffi, type NativeArg, type NativeFunction, type NativeType } from "../../runtime/ffi.js";
import { driverLibrary, findLibrary } from "./libraries.js";

/** The functions that are used. */
export type DriverCall =
  | "cuInit"
  | "cuDriverGetVersion"
  | "cuDeviceGetCount"
  | "cuDeviceGet"
  | "cuDeviceGetName"
  | "cuDeviceGetAttribute"
  | "cuDeviceTotalMem_v2"
  | "cuDevicePrimaryCtxRetain"
  | "cuDevicePrimaryCtxRelease_v2"
  | "cuCtxSetCurrent"
  | "cuMemGetInfo_v2"
  | "cuMemAlloc_v2"
  | "cuMemFree_v2"
  | "cuMemHostAlloc"
  | "cuMemFreeHost"
  | "cuMemcpyHtoDAsync_v2"
  | "cuMemcpyDtoHAsync_v2"
  | "cuMemcpyDtoDAsync_v2"
  | "cuMemsetD8Async"
  | "cuStreamCreate"
  | "cuStreamDestroy_v2"
  | "cuStreamSynchronize"
  | "cuStreamBeginCapture_v2"
  | "cuStreamEndCapture"
  | "cuEventCreate"
  | "cuEventDestroy_v2"
  | "cuEventRecord"
  | "cuEventQuery"
  | "cuEventSynchronize"
  | "cuEventElapsedTime"
  | "cuModuleLoadData"
  | "cuModuleUnload"
  | "cuModuleGetFunction"
  | "cuFuncSetAttribute"
  | "cuLaunchKernel"
  | "cuTensorMapEncodeTiled"
  | "cuGraphCreate"
  | "cuGraphDestroy"
  | "cuGraphAddEmptyNode"
  | "cuGraphAddKernelNode_v2"
  | "cuGraphAddDependencies_v2"
  | "cuGraphAddChildGraphNode"
  | "cuGraphInstantiateWithFlags"
  | "cuGraphExecKernelNodeSetParams_v2"
  | "cuGraphExecChildGraphNodeSetParams"
  | "cuGraphLaunch"
  | "cuGraphExecDestroy";

const signatures: Readonly<Record<DriverCall, readonly NativeType[]>> = {
  cuInit: ["i32"],
  cuDriverGetVersion: ["pointer"],
  cuDeviceGetCount: ["pointer"],
  cuDeviceGet: ["pointer", "i32"],
  cuDeviceGetName: ["pointer", "i32", "i32"],
  cuDeviceGetAttribute: ["pointer", "i32", "i32"],
  cuDeviceTotalMem_v2: ["pointer", "i32"],
  cuDevicePrimaryCtxRetain: ["pointer", "i32"],
  cuDevicePrimaryCtxRelease_v2: ["i32"],
  cuCtxSetCurrent: ["pointer"],
  cuMemGetInfo_v2: ["pointer", "pointer"],
  cuMemAlloc_v2: ["pointer", "i64"],
  cuMemFree_v2: ["i64"],
  cuMemHostAlloc: ["pointer", "i64", "i32"],
  cuMemFreeHost: ["pointer"],
  cuMemcpyHtoDAsync_v2: ["i64", "pointer", "i64", "pointer"],
  cuMemcpyDtoHAsync_v2: ["pointer", "i64", "i64", "pointer"],
  cuMemcpyDtoDAsync_v2: ["i64", "i64", "i64", "pointer"],
  cuMemsetD8Async: ["i64", "i32", "i64", "pointer"],
  cuStreamCreate: ["pointer", "i32"],
  cuStreamDestroy_v2: ["pointer"],
  cuStreamSynchronize: ["pointer"],
  cuStreamBeginCapture_v2: ["pointer", "i32"],
  cuStreamEndCapture: ["pointer", "pointer"],
  cuEventCreate: ["pointer", "i32"],
  cuEventDestroy_v2: ["pointer"],
  cuEventRecord: ["pointer", "pointer"],
  cuEventQuery: ["pointer"],
  cuEventSynchronize: ["pointer"],
  cuEventElapsedTime: ["pointer", "pointer", "pointer"],
  cuModuleLoadData: ["pointer", "pointer"],
  cuModuleUnload: ["pointer"],
  cuModuleGetFunction: ["pointer", "pointer", "pointer"],
  cuFuncSetAttribute: ["pointer", "i32", "i32"],
  cuLaunchKernel: ["pointer", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "pointer", "pointer", "pointer"],
  cuTensorMapEncodeTiled: ["pointer", "i32", "i32", "pointer", "pointer", "pointer", "pointer", "pointer", "i32", "i32", "i32", "i32"],
  cuGraphCreate: ["pointer", "i32"],
  cuGraphDestroy: ["pointer"],
  cuGraphAddEmptyNode: ["pointer", "pointer", "pointer", "i64"],
  cuGraphAddKernelNode_v2: ["pointer", "pointer", "pointer", "i64", "pointer"],
  cuGraphAddDependencies_v2: ["pointer", "pointer", "pointer", "pointer", "i64"],
  cuGraphAddChildGraphNode: ["pointer", "pointer", "pointer", "i64", "pointer"],
  cuGraphInstantiateWithFlags: ["pointer", "pointer", "i64"],
  cuGraphExecKernelNodeSetParams_v2: ["pointer", "pointer", "pointer"],
  cuGraphExecChildGraphNodeSetParams: ["pointer", "pointer", "pointer"],
  cuGraphLaunch: ["pointer", "pointer"],
  cuGraphExecDestroy: ["pointer"],
};

/** Results of the driver that mean something to us. */
const outOfMemory = 2;
export const notReady = 600;

/** The driver. */
export interface Driver {
  /** What it supports: 12030 is CUDA 12.3. */
  readonly version: number;
  /** Calls a function and throws DeviceError or OutOfMemoryError where it fails. */
  call(name: DriverCall, ...args: readonly NativeArg[]): void;
  /** Calls a function and returns its result code. */
  code(name: DriverCall, ...args: readonly NativeArg[]): number;
  /** The function itself, for calls on another thread. */
  raw(name: DriverCall): NativeFunction;
  /** Throws what a result code means. */
  check(code: number, name: DriverCall): void;
  /** Calls a function whose first argument receives a 64-bit result, and returns that. */
  made(name: DriverCall, ...args: readonly NativeArg[]): bigint;
}

let opened: Driver | undefined;
/** The driver of this machine, loaded on the first call. Throws UnsupportedError where there is none or no GPU. */
export function driver(): Driver {
  opened ??= open();
  return opened;
}

function open(): Driver {
  const path = findLibrary(driverLibrary);
  if (!path) throw new UnsupportedError(`${driverLibrary.name} was not found: ${driverLibrary.effect}`);
  const library = ffi().load(path);
  const functions = new Map<DriverCall, NativeFunction>();
  const raw = (name: DriverCall): NativeFunction => {
    let f = functions.get(name);
    if (!f) {
      f = library.func(name, "i32", signatures[name]);
      functions.set(name, f);
    }
    return f;
  };
  const cuGetErrorName = library.func("cuGetErrorName", "i32", ["i32", "pointer"]);
  const cuGetErrorString = library.func("cuGetErrorString", "i32", ["i32", "pointer"]);
  const text = (f: NativeFunction, code: number): string => {
    const at = new BigInt64Array(1);
    if (f(code, at) !== 0 || at[0] === 0n) return "";
    const bytes = new Uint8Array(ffi().view(at[0]!, 256));
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  };
  const check = (code: number, name: DriverCall): void => {
    if (code === 0) return;
    const message = `${name} failed: ${text(cuGetErrorString, code) || "unknown error"} (${text(cuGetErrorName, code) || code})`;
    throw code === outOfMemory ? new OutOfMemoryError(message) : new DeviceError(message);
  };
  const word = new BigInt64Array(1);
  const version = new Int32Array(1);
  const made: Driver = {
    get version() {
      return version[0]!;
    },
    raw,
    check,
    code: (name, ...args) => raw(name)(...args) as number,
    call: (name, ...args) => check(raw(name)(...args) as number, name),
    made(name, ...args) {
      word[0] = 0n;
      check(raw(name)(word, ...args) as number, name);
      return word[0]!;
    },
  };
  made.call("cuInit", 0);
  made.call("cuDriverGetVersion", version);
  return made;
}

/** A GPU as the driver describes it. */
export interface Gpu {
  readonly index: number;
  readonly name: string;
  /** Compute capability times ten. */
  readonly sm: number;
  readonly multiprocessors: number;
  /** Bytes of shared memory that a block may ask for. */
  readonly sharedBytes: number;
  readonly bytes: number;
}

/** Numbers of the attributes that are asked for. */
const attributes = { multiprocessors: 16, major: 75, minor: 76, sharedBytes: 97 } as const;

/** The GPUs of this machine, in the driver's order. */
export function gpus(): Gpu[] {
  const d = driver();
  const number = new Int32Array(1);
  d.call("cuDeviceGetCount", number);
  return Array.from({ length: number[0]! }, (_, index): Gpu => {
    d.call("cuDeviceGet", number, index);
    const handle = number[0]!;
    const attribute = (which: number): number => {
      d.call("cuDeviceGetAttribute", number, which, handle);
      return number[0]!;
    };
    const name = new Uint8Array(256);
    d.call("cuDeviceGetName", name, name.length, handle);
    return {
      index,
      name: new TextDecoder().decode(name.slice(0, name.indexOf(0))),
      sm: attribute(attributes.major) * 10 + attribute(attributes.minor),
      multiprocessors: attribute(attributes.multiprocessors),
      sharedBytes: attribute(attributes.sharedBytes),
      bytes: Number(d.made("cuDeviceTotalMem_v2", handle)),
    };
  });
}

/** One GPU. Throws UnsupportedError where there is no such one. */
export function gpuAt(index: number): Gpu {
  const all = gpus();
  const gpu = all[index];
  if (!gpu)
    throw new UnsupportedError(
      `there is no GPU cuda:${index}; ${all.length ? `known are ${all.map((g) => `cuda:${g.index} (${g.name})`).join(", ")}` : "the driver shows none"}`,
    );
  return gpu;
}

/** Element types. A DType is its own name: comparable with ===, printable, serialisable. */
export type DType = "bool" | "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "f16" | "bf16" | "f32" | "f64" | "complex64";

/** What kind of number a dtype holds, in promotion order. */
export type DTypeKind = "bool" | "uint" | "int" | "float" | "complex";

interface DTypeInfo {
  readonly bytes: number;
  readonly kind: DTypeKind;
}

/** Every element type with its size in bytes and its kind. */
export const dtypes: Readonly<Record<DType, DTypeInfo>> = {
  bool: { bytes: 1, kind: "bool" },
  u8: { bytes: 1, kind: "uint" },
  u16: { bytes: 2, kind: "uint" },
  u32: { bytes: 4, kind: "uint" },
  u64: { bytes: 8, kind: "uint" },
  i8: { bytes: 1, kind: "int" },
  i16: { bytes: 2, kind: "int" },
  i32: { bytes: 4, kind: "int" },
  i64: { bytes: 8, kind: "int" },
  f16: { bytes: 2, kind: "float" },
  bf16: { bytes: 2, kind: "float" },
  f32: { bytes: 4, kind: "float" },
  f64: { bytes: 8, kind: "float" },
  complex64: { bytes: 8, kind: "complex" },
};

/** Size of one element in bytes. */
export const bytesOf = (dtype: DType): number => dtypes[dtype].bytes;
export const isFloat = (dtype: DType): boolean => dtypes[dtype].kind === "float";
/** True for signed and unsigned integers, not for bool. */
export const isInt = (dtype: DType): boolean => dtypes[dtype].kind === "int" || dtypes[dtype].kind === "uint";
/** True for i64 and u64, whose elements are bigint on the host. */
export const isWide = (dtype: DType): boolean => dtype === "i64" || dtype === "u64";
/** True for f16 and bf16, which are storage only. */
export const isHalf = (dtype: DType): dtype is "f16" | "bf16" => dtype === "f16" || dtype === "bf16";
/** The dtype that arithmetic runs in: half floats compute in f32 and round once, at the store. */
export const computeDType = (dtype: DType): DType => (isHalf(dtype) ? "f32" : dtype);
/** Every dtype that kernels compute. */
export const realDTypes: ReadonlySet<DType> = new Set((Object.keys(dtypes) as DType[]).filter((t) => t !== "complex64"));

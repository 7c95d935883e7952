/** Elements narrower than a word: packed in u32, read by shifting, written whole words at a time or bit by bit with atomics. */
import { bytesOf, type DType, isHalf } from "../../core/dtype.js";
import type { Buffer, Combiner } from "../../kernel/kernel.js";

/** A buffer as it is bound. `atomic`: its words are written by several threads. */
export interface Storage extends Buffer {
  readonly atomic: boolean;
}
/** Whether several elements share a word. */
export const isPacked = (b: { readonly dtype: DType }): boolean => bytesOf(b.dtype) < 4;
const unatomic = (b: Storage): string => (isPacked(b) || (b.atomic && b.dtype === "f32") ? "u32" : b.dtype);
/** The element type of the binding. */
export const storageType = (b: Storage): string => (b.atomic ? `atomic<${unatomic(b)}>` : unatomic(b));

const perWord = (b: Storage): number => 4 / bytesOf(b.dtype);
const bits = (b: Storage): number => 8 * bytesOf(b.dtype);
const read = (b: Storage, i: string): string => (b.atomic ? `atomicLoad(&${b.name}[${i}])` : `${b.name}[${i}]`);
/** The value in the low bits of a word. */
function unpack(dtype: DType, word: string): string {
  switch (dtype) {
    case "bool":
      return `((${word} & 255u) != 0u)`;
    case "u8":
      return `(${word} & 255u)`;
    case "u16":
      return `(${word} & 65535u)`;
    case "i8":
      return `(bitcast<i32>(${word} << 24u) >> 24u)`;
    case "i16":
      return `(bitcast<i32>(${word} << 16u) >> 16u)`;
    case "f16":
    case "bf16":
      return `widen_${dtype}(${word} & 65535u)`;
    default:
      return word;
  }
}
/** The low bits of a word that hold a value. */
function pack(dtype: DType, v: string): string {
  switch (dtype) {
    case "bool":
      return `u32(${v})`;
    case "u8":
    case "u16":
      return v;
    case "i8":
      return `(bitcast<u32>(${v}) & 255u)`;
    case "i16":
      return `(bitcast<u32>(${v}) & 65535u)`;
    default:
      return `narrow_${dtype}(${v})`;
  }
}
/** One element of a packed buffer. */
const packedLoad = (b: Storage, i: string): string =>
  unpack(b.dtype, `(${read(b, `(${i}) / ${perWord(b)}`)} >> (u32((${i}) % ${perWord(b)}) * ${bits(b)}u))`);
/** One element of a bound buffer. */
export function loadWord(b: Storage, i: string): string {
  if (isPacked(b)) return packedLoad(b, i);
  return b.atomic && b.dtype === "f32" ? `bitcast<f32>(${read(b, i)})` : read(b, i);
}
/** Neighbouring elements, whole words where they are packed. */
export function wideLoad(b: Storage, i: string, lanes: number, name: string): string {
  if (!isPacked(b) || b.space !== "global")
    return Array.from(
      { length: lanes },
      (_, l) => `let ${name}_${l} = ${b.space === "global" ? loadWord(b, `${i} + ${l}`) : `${b.name}[${i} + ${l}]`};`,
    ).join(" ");
  const words = Math.ceil(lanes / perWord(b));
  if (lanes < perWord(b)) return `let ${name}_0 = ${read(b, `(${i}) / ${perWord(b)}`)} >> (u32((${i}) % ${perWord(b)}) * ${bits(b)}u);`;
  return Array.from({ length: words }, (_, w) => `let ${name}_${w} = ${read(b, `(${i}) / ${perWord(b)}${w ? ` + ${w}` : ""}`)};`).join(" ");
}
/** Lane `l` of what `wideLoad` read. */
export function wideLane(b: Storage, name: string, l: number): string {
  if (!isPacked(b) || b.space !== "global") return `${name}_${l}`;
  const shift = (l % perWord(b)) * bits(b);
  const word = `${name}_${Math.floor(l / perWord(b))}`;
  return unpack(b.dtype, shift ? `(${word} >> ${shift}u)` : word);
}
/** Writes one element or several neighbours. Part of a word is cleared and set with atomics, which touch no other bits. */
export function storeStatement(b: Storage, i: string, v: readonly string[], lanes: number): string {
  if (b.space !== "global") {
    const held = v.map((x) => (isHalf(b.dtype) ? `round_${b.dtype}(${x})` : x));
    return lanes === 1 ? `${b.name}[${i}] = ${held[0]};` : held.map((x, l) => `${b.name}[${i} + ${l}] = ${x};`).join(" ");
  }
  if (!isPacked(b)) {
    const put = (at: string, x: string): string =>
      b.atomic ? `atomicStore(&${b.name}[${at}], ${b.dtype === "f32" ? `bitcast<u32>(${x})` : x});` : `${b.name}[${at}] = ${x};`;
    return v.map((x, l) => put(l ? `${i} + ${l}` : i, x)).join(" ");
  }
  const n = perWord(b);
  if (lanes >= n) {
    const word = (w: number): string =>
      v
        .slice(w * n, w * n + n)
        .map((x, l) => (l ? `(${pack(b.dtype, x)} << ${l * bits(b)}u)` : pack(b.dtype, x)))
        .join(" | ");
    return Array.from({ length: lanes / n }, (_, w) => `atomicStore(&${b.name}[(${i}) / ${n}${w ? ` + ${w}` : ""}], ${word(w)});`).join(
      " ",
    );
  }
  const mask = bits(b) === 8 ? "255u" : "65535u";
  return v
    .map((x, l) => {
      const at = l ? `(${i} + ${l})` : `(${i})`;
      return `{ let s_ = u32(${at} % ${n}) * ${bits(b)}u; let v_ = ${pack(b.dtype, x)} << s_; atomicAnd(&${b.name}[${at} / ${n}], ~(${mask} << s_)); atomicOr(&${b.name}[${at} / ${n}], v_); }`;
    })
    .join(" ");
}
const named: Readonly<Partial<Record<Combiner, string>>> = {
  add: "atomicAdd",
  max: "atomicMax",
  min: "atomicMin",
  or: "atomicOr",
  and: "atomicAnd",
};
/** Read, combine and write back as one step. */
export function atomicStatement(b: Storage, o: Combiner, i: string, v: string, combine: (a: string, b: string) => string): string {
  const f = named[o];
  if (f && (b.dtype === "i32" || b.dtype === "u32")) return `${f}(&${b.name}[${i}], ${v});`;
  const isFloat = b.dtype === "f32";
  const next = combine(isFloat ? "bitcast<f32>(old_)" : "old_", "v_");
  return `{ let v_ = ${v}; var old_ = atomicLoad(&${b.name}[${i}]); loop { let r_ = atomicCompareExchangeWeak(&${b.name}[${i}], old_, ${isFloat ? `bitcast<u32>(${next})` : next}); if (r_.exchanged) { break; } old_ = r_.old_value; } }`;
}

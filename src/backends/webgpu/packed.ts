/** Elements narrower than a word: packed in u32, read by shifting, written whole words at a time or bit by bit with atomics. */
import { bytesOf, type DType, isHalf, isWide } from "../../core/dtype.js";
import type { Combiner } from "../../kernel/kernel.js";
import { element, withPlace } from "./chunks.js";
import { isOwnHalf, perWord, type Storage } from "./layout.js";
import { valueType } from "./scalar.js";
import { wideType } from "./wide.js";

const scalarType = (b: Storage): string => {
  if (b.space !== "global") return valueType(b.dtype);
  return b.packed || (b.atomic && b.dtype === "f32") ? "u32" : isWide(b.dtype) ? wideType : b.dtype;
};
/** The type of an element of the declaration, and what reading one gives. */
export const storageType = (b: Storage): string => (b.atomic ? `atomic<${scalarType(b)}>` : loadedType(b));
export const loadedType = (b: Storage): string => (b.width > 1 ? `vec${b.width}<${scalarType(b)}>` : scalarType(b));
const bits = (b: Storage): number => 8 * bytesOf(b.dtype);
/** A position that is not negative, divided by a power of two, and what is left of it. */
const over = (i: string, by: number): string => (by > 1 ? `((${i}) >> ${Math.log2(by)}u)` : i);
const rest = (i: string, by: number): string => `((${i}) & ${by - 1})`;
/** A word by its number; `more` is known. */
function read(b: Storage, i: string, more = 0): string {
  const at = more ? `${i} + ${more}` : i;
  return b.width > 1 ? `${element(b, over(at, b.width))}[${rest(at, b.width)}]` : element(b, at);
}
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
  unpack(b.dtype, `(${read(b, over(i, perWord(b)))} >> (u32${rest(i, perWord(b))} * ${bits(b)}u))`);
/** One element. */
export function loadWord(b: Storage, i: string): string {
  if (b.packed) return packedLoad(b, i);
  if (isOwnHalf(b)) return `f32(${read(b, i)})`;
  return b.atomic && b.dtype === "f32" ? `bitcast<f32>(${read(b, i)})` : read(b, i);
}
/** Neighbouring elements, as words `name_0`, `name_1`, ... */
export function wideLoad(b: Storage, i: string, lanes: number, name: string): string {
  const n = perWord(b);
  if (lanes < n) return `let ${name}_0 = ${read(b, over(i, n))} >> (u32${rest(i, n)} * ${bits(b)}u);`;
  const words = lanes / n;
  const lines: string[] = [];
  if (b.width > 1 && words % b.width === 0)
    for (let v = 0; v < words / b.width; v++) {
      const vector = element(b, `${over(i, n * b.width)}${v ? ` + ${v}` : ""}`);
      lines.push(`let ${name}_v${v} = ${isOwnHalf(b) ? `vec${b.width}<f32>(${vector})` : vector};`);
      for (let l = 0; l < b.width; l++) lines.push(`let ${name}_${v * b.width + l} = ${name}_v${v}.${"xyzw"[l]};`);
    }
  else
    for (let w = 0; w < words; w++)
      lines.push(`let ${name}_${w} = ${b.packed ? read(b, over(i, n), w) : loadWord(b, w ? `${i} + ${w}` : i)};`);
  return lines.join(" ");
}
/** Lane `l` of what `wideLoad` read. */
export function wideLane(b: Storage, name: string, l: number): string {
  if (!b.packed) return `${name}_${l}`;
  const shift = (l % perWord(b)) * bits(b);
  const word = `${name}_${Math.floor(l / perWord(b))}`;
  return unpack(b.dtype, shift ? `(${word} >> ${shift}u)` : word);
}
/** Writes one element or several neighbours. Part of a word is cleared and set with atomics, which touch no other bits. */
export function storeStatement(b: Storage, i: string, v: readonly string[], lanes: number): string {
  const n = perWord(b);
  if (lanes < n) return v.map((x, l) => storePart(b, l ? `(${i} + ${l})` : `(${i})`, x)).join(" ");
  const held =
    b.space !== "global" && isHalf(b.dtype) ? v.map((x) => `round_${b.dtype}(${x})`) : isOwnHalf(b) ? v.map((x) => `half_of(${x})`) : v;
  const words = b.packed ? Array.from({ length: lanes / n }, (_, w) => packed(b, held.slice(w * n, w * n + n))) : held;
  if (b.width > 1)
    return Array.from({ length: words.length / b.width }, (_, w) =>
      put(
        b,
        `${over(i, n * b.width)}${w ? ` + ${w}` : ""}`,
        `${storageType(b)}(${words.slice(w * b.width, (w + 1) * b.width).join(", ")})`,
      ),
    ).join(" ");
  const first = over(i, n);
  const word = (x: string): string => (b.atomic && b.dtype === "f32" ? `bitcast<u32>(${x})` : x);
  return words.map((x, w) => put(b, w ? `${first} + ${w}` : first, word(x))).join(" ");
}
/** Writes an element of the declaration. */
function put(b: Storage, at: string, x: string): string {
  const write = (value: string): string =>
    withPlace(b, at, (place) => (b.atomic ? `atomicStore(&${place}, ${value});` : `${place} = ${value};`));
  return b.chunks > 1 ? `{ let x_ = ${x}; ${write("x_")} }` : write(x);
}
/** A word of neighbouring narrow elements. */
const packed = (b: Storage, v: readonly string[]): string =>
  v.map((x, l) => (l ? `(${pack(b.dtype, x)} << ${l * bits(b)}u)` : pack(b.dtype, x))).join(" | ");
function storePart(b: Storage, at: string, x: string): string {
  const [n, mask] = [perWord(b), bits(b) === 8 ? "255u" : "65535u"];
  const set = withPlace(b, over(at, n), (place) => `atomicAnd(&${place}, ~(${mask} << s_)); atomicOr(&${place}, v_);`);
  return `{ let s_ = u32${rest(at, n)} * ${bits(b)}u; let v_ = ${pack(b.dtype, x)} << s_; ${set} }`;
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
  if (f && (b.dtype === "i32" || b.dtype === "u32")) return withPlace(b, i, (place) => `${f}(&${place}, ${v});`);
  const isFloat = b.dtype === "f32";
  const next = combine(isFloat ? "bitcast<f32>(old_)" : "old_", "v_");
  const swap = withPlace(
    b,
    i,
    (place) =>
      `var old_ = atomicLoad(&${place}); loop { let r_ = atomicCompareExchangeWeak(&${place}, old_, ${isFloat ? `bitcast<u32>(${next})` : next}); if (r_.exchanged) { break; } old_ = r_.old_value; }`,
  );
  return `{ let v_ = ${v}; ${swap} }`;
}

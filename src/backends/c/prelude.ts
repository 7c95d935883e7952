/**
 * The C functions that generated kernels call. Each is one template over the number of lanes: `$` is that number, and with one
 * lane the vector types are plain scalars, so scalar tails and vector code compute the same bits. A compilation unit gets the
 * functions that its kernels use and no others.
 */
import type { DType } from "../../core/dtype.js";
import { conversions } from "./preludeConvert.js";
import { math } from "./preludeMath.js";
import { arithmetic } from "./preludeScalar.js";
import { storage } from "./preludeStorage.js";
import { turn } from "./preludeTurn.js";

/** The C word of a storage dtype. */
export const word: Readonly<Record<DType, string>> = {
  bool: "u8x1",
  u8: "u8x1",
  u16: "u16x1",
  u32: "u32x1",
  u64: "u64x1",
  i8: "i8x1",
  i16: "i16x1",
  i32: "i32x1",
  i64: "i64x1",
  f16: "u16x1",
  bf16: "u16x1",
  f32: "f32x1",
  f64: "f64x1",
  complex64: "f32x1",
};

/** Text of a function for a number of lanes. */
export type Helper = (lanes: number) => string;

const scalarTypes: Readonly<Record<string, readonly [string, number]>> = {
  f32: ["float", 4],
  f64: ["double", 8],
  i8: ["signed char", 1],
  i16: ["short", 2],
  i32: ["int", 4],
  i64: ["long long", 8],
  u8: ["unsigned char", 1],
  u16: ["unsigned short", 2],
  u32: ["unsigned", 4],
  u64: ["unsigned long long", 8],
};

const helpers = new Map<string, Helper>();
for (const [name, [c, bytes]] of Object.entries(scalarTypes)) {
  helpers.set(name, (n) => (n === 1 ? `typedef ${c} ${name}x1;` : `typedef ${c} ${name}x${n} __attribute__((vector_size(${bytes * n})));`));
  // The same lanes anywhere in memory.
  helpers.set(
    `${name}u`,
    (n) => `typedef ${c} ${name}ux${n} __attribute__((${n === 1 ? "" : `vector_size(${bytes * n}), `}aligned(${bytes}), may_alias));`,
  );
}
/** bool: 0 or 1 as a scalar, 0 or -1 in each lane of a vector. */
helpers.set("bool", (n) => (n === 1 ? "typedef int boolx1;" : `typedef i32x${n} boolx${n};`));

/** A function definition that the compiler always inlines. */
const define = (text: string): string => `FN ${text}`;
for (const [name, make] of Object.entries({ ...arithmetic(), ...conversions(), ...storage(), ...math(), turn_u32: turn }))
  helpers.set(name, (n) => (/^(static|typedef|extern|#)/.test(make(n)) ? make(n) : define(make(n))).replaceAll("$", `${n}`));

/** Whether there is a function of that name. */
export const hasHelper = (name: string): boolean => helpers.has(name);

/** Lines that define all functions and types that `text` uses, directly or not, each before its users. */
export function helpersFor(text: string): string[] {
  const seen = new Set<string>();
  const out = ["#define FN static inline __attribute__((always_inline, unused))"];
  const visit = (source: string): void => {
    for (const [whole, name, lanes] of source.matchAll(/\b([a-z][A-Za-z0-9_]*?)x(\d+)\b/g)) {
      const make = helpers.get(name!);
      if (!make || seen.has(whole)) continue;
      seen.add(whole);
      const definition = make(Number(lanes));
      visit(definition);
      out.push(definition);
    }
  };
  visit(text);
  return out;
}

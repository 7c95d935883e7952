/** Conversions between narrow integers and those of 32 bits: one instruction, where GCC's own conversion takes vectors apart. */
import type { Helper } from "./prelude.js";

const narrow = ["i8", "u8", "i16", "u16"] as const;
/** The vector type that GCC's built-in functions take for so many bytes. */
const vector = (word: string, bytes: number): string => `typedef ${word} ${word}s __attribute__((vector_size(${bytes})));`;

/** Every helper of this file by name. */
export function conversions(): Record<string, Helper> {
  const out: Record<string, Helper> = {};
  const one = (from: string, to: string, n: number): string | undefined => {
    const widens = to.endsWith("32");
    const small = widens ? from : to;
    const [letter, word] = small.endsWith("8") ? ["b", "char"] : ["w", "short"];
    const instruction = widens ? `pmov${small.startsWith("u") ? "z" : "s"}x${letter}d` : `pmovd${letter}`;
    const [input, output] = widens ? [word, "int"] : ["int", word];
    const types = `${vector(word, letter === "b" ? n : 2 * n)} ${vector("int", 4 * n)}`;
    if (n === 16) return `${types} return (${to}x$)__builtin_ia32_${instruction}512_mask((${input}s)a, (${output}s){}, -1);`;
    // Eight bytes are no vector that a built-in function takes.
    if (n === 8 && widens) return `${to}x$ r; __asm__("v${instruction} %1, %0" : "=v"(r) : "v"(a)); return r;`;
    return undefined;
  };
  const add = (from: string, to: string): void => {
    out[`resize_${from}_${to}`] = (n) => {
      const head = `${to}x$ resize_${from}_${to}x$(${from}x$ a)`;
      const plain = n === 1 ? `return (${to}x$)a;` : `return __builtin_convertvector(a, ${to}x$);`;
      const text = one(from, to, n);
      const has = n === 16 ? "__AVX512F__" : "__AVX2__";
      return text ? `${head} {\n#if defined(${has}) && !defined(__clang__)\n${text}\n#else\n${plain}\n#endif\n}` : `${head} { ${plain} }`;
    };
  };
  for (const small of narrow)
    for (const sign of ["i", "u"]) {
      add(small, `${sign}32`);
      add(`${sign}32`, small);
    }
  return out;
}

const isNarrow = (t: string): boolean => (narrow as readonly string[]).includes(t);
/** The expression of vector `x`, which holds `from`, as a vector of `to` with as many lanes. */
export function resized(x: string, from: string, to: string): string {
  if (isNarrow(from) && to === "f32") return `__builtin_convertvector(resize_${from}_i32x$(${x}), f32x$)`;
  const known = (isNarrow(from) && /^[iu]32$/.test(to)) || (isNarrow(to) && /^[iu]32$/.test(from));
  return known ? `resize_${from}_${to}x$(${x})` : `__builtin_convertvector(${x}, ${to}x$)`;
}

/** Fragments that only a matrix unit sees: tiles of 16 rows of 16 words, by the place that names them. */
import { bytesOf } from "../../core/dtype.js";
import { perWord, type Ref, type Stmt } from "../kernel.js";
import { type Code, floatOf } from "./code.js";
import { type Action, alone, type Thread } from "./thread.js";

const words = 256;
const keyOf = (code: Code, r: Ref): ((t: Thread) => string) => {
  const index = code.index(r.index);
  return (t) => `${r.buffer} ${index(t)}`;
};
const tileOf = (code: Code, r: Ref): ((t: Thread) => Float64Array) => {
  const key = keyOf(code, r);
  return (t) => {
    const found = t.tiles.get(key(t));
    if (!found) throw code.fault("a tile is used before it is filled");
    return found;
  };
};

/** Fills, fetches and products. */
export function tile(code: Code, s: Extract<Stmt, { kind: "fill" | "fetch" | "mma" }>): Action {
  if (s.kind === "fill") {
    const key = keyOf(code, s.acc);
    return alone((t) => {
      t.tiles.set(key(t), new Float64Array(words));
    });
  }
  return s.kind === "fetch" ? fetch(code, s) : product(code, s);
}

function fetch(code: Code, s: Extract<Stmt, { kind: "fetch" }>): Action {
  const [key, from, stride, n] = [keyOf(code, s.into), code.index(s.from.index), code.index(s.stride), code.buffer(s.from.buffer)];
  const plain = s.unit.lanes > 1;
  const per = plain ? 1 : perWord(code.plan(s.from.buffer).dtype);
  const word = per > 1 ? code.wordReader(s.from.buffer) : undefined;
  return alone((t) => {
    const [start, between, into] = [from(t), stride(t), new Float64Array(words)];
    for (let i = 0; i < words; i++) {
      const [row, column] = [i >> 4, i & 15];
      const at = plain && s.transposed ? start + column * between + row : start + row * between + column * per;
      // Words of operands are bits; accumulators are numbers.
      into[i] = word ? word(t, at) : Number(code.around(t, n, at)[at]);
    }
    t.tiles.set(key(t), into);
  });
}

function product(code: Code, s: Extract<Stmt, { kind: "mma" }>): Action {
  const [accOf, aOf, bOf] = [tileOf(code, s.acc), tileOf(code, s.a), tileOf(code, s.b)];
  const plain = s.unit.lanes > 1;
  const per = plain ? 1 : 4 / bytesOf(s.unit.input);
  const rounded = per === 4 ? (x: number): number => x | 0 : Math.fround;
  const part = (word: number, j: number): number => (per === 4 ? ((word >>> (8 * j)) << 24) >> 24 : floatOf(word, j, s.unit.input));
  /** The numbers in a tile's words. */
  const numbers = (tile: Float64Array): Float64Array =>
    plain ? tile : Float64Array.from({ length: words * per }, (_, i) => part(tile[Math.floor(i / per)]!, i % per));
  return alone((t) => {
    const [acc, a, b] = [accOf(t), numbers(aOf(t)), numbers(bOf(t))];
    for (let i = 0; i < words; i++) {
      const [row, column] = [i >> 4, i & 15];
      let sum = acc[i]!;
      for (let w = 0; w < 16; w++)
        for (let j = 0; j < per; j++) sum = rounded(sum + a[(16 * row + w) * per + j]! * b[(16 * w + column) * per + j]!);
      acc[i] = sum;
    }
  });
}

/** Writes a tile of accumulators. */
export function spill(code: Code, s: Extract<Stmt, { kind: "spill" }>): Action {
  const [from, write, to, stride] = [tileOf(code, s.acc), code.writer(s.to.buffer), code.index(s.to.index), code.index(s.stride)];
  return alone((t) => {
    const [tile, start, between] = [from(t), to(t), stride(t)];
    for (let i = 0; i < words; i++) write(t, start + (i >> 4) * between + (i & 15), tile[i]!);
  });
}

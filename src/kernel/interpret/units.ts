/** A matrix unit whose fragments lie in registers: what all of its lanes do together. */
import { bytesOf, type DType } from "../../core/dtype.js";
import { perWord, type Stmt } from "../kernel.js";
import { inBackground } from "./background.js";
import { type Code, floatOf } from "./code.js";
import { accumulate, registers } from "./lanes.js";
import { bitsOf, type Scalar } from "./scalar.js";
import { type Action, alone, together } from "./thread.js";
import { tile } from "./tiles.js";

/** Operations on fragments. */
export function unit(code: Code, s: Extract<Stmt, { kind: "fill" | "fetch" | "mma" }>): Action {
  if (s.unit.regs.acc === 0) return tile(code, s);
  if (s.kind === "fill") {
    const [write, index] = [code.writer(s.acc.buffer), code.index(s.acc.index)];
    return alone((t) => {
      const start = index(t);
      for (let i = 0; i < s.unit.regs.acc; i++) write(t, start + i, 0);
    });
  }
  if (s.kind === "fetch") return fetch(code, s);
  return s.unit.operands === "shared" ? inBackground(code, s) : product(code, s);
}

/** Each of four blocks has eight rows of 16 bytes; eight lanes name them. */
function fetch(code: Code, s: Extract<Stmt, { kind: "fetch" }>): Action {
  const size = s.unit.lanes;
  const [from, index] = [code.buffer(s.from.buffer), code.index(s.from.index)];
  const [write, into] = [code.writer(s.into.buffer), code.index(s.into.index)];
  const { dtype } = code.plan(s.from.buffer);
  const [per, shift] = [perWord(dtype), BigInt(8 * bytesOf(dtype))];
  return together(function* (t) {
    const starts = yield { what: "fetch", size, brings: [index(t)] };
    const lane = t.tid % size;
    const start = into(t);
    for (let j = 0; j < s.count; j++) {
      let word = 0n;
      for (let e = per - 1; e >= 0; e--) {
        const [row, column] = s.transposed ? [(lane % 4) * per + e, lane >> 2] : [lane >> 2, (lane % 4) * per + e];
        const i = Number(starts[8 * j + row]![0]) + column;
        word = (word << shift) | bitsOf(code.around(t, from, i)[i]!, dtype);
      }
      write(t, start + j, Number(word));
    }
  });
}

/** A product of fragments in the registers of all lanes. */
function product(code: Code, s: Extract<Stmt, { kind: "mma" }>): Action {
  const { unit } = s;
  const [aOf, bOf, add] = [registers(code, s.a, unit.regs.a), registers(code, s.b, unit.regs.b), accumulate(code, s)];
  return together(function* (t) {
    const brought = yield { what: "mma", size: unit.lanes, brings: [...aOf(t), ...bOf(t)] };
    const element = elementOf(unit.input, unit.k);
    add(
      t,
      (row, k) => element(row, k, (lane, second) => brought[lane]![2 * second + (row >> 3)]!),
      (column, k) => element(column, k, (lane, second) => brought[lane]![unit.regs.a + second]!),
    );
  });
}
/** Element of a fragment: neighbours along k lie in a word, and a second word is half of k further on. */
const elementOf =
  (input: DType, count: number) =>
  (outer: number, k: number, word: (lane: number, second: number) => Scalar): number => {
    const [per, half] = [4 / bytesOf(input), count / 2];
    const within = k % half;
    const lane = (outer % 8) * 4 + Math.floor(within / per);
    return floatOf(Number(word(lane, Math.floor(k / half))), within % per, input);
  };

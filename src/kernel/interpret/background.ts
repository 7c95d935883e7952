/** What runs in the background on a GPU, run at once: tiles on their way, signals, and products of tiles in shared memory. */
import { bytesOf, type DType } from "../../core/dtype.js";
import type { Ref, Stmt } from "../kernel.js";
import { type Code, floatOf } from "./code.js";
import { type Along, accumulate, registers } from "./lanes.js";
import { type Action, alone, type Signal, type Thread, together } from "./thread.js";

const signalOf = (code: Code, r: Ref): ((t: Thread) => Signal) => {
  const [n, index] = [code.buffer(r.buffer), code.index(r.index)];
  return (t) => t.signals[n]![index(t)]!;
};
/** A phase ends with its last arrival and its last byte. */
function settled(s: Signal): void {
  if (s.left > 0 || s.bytes > 0) return;
  s.phase++;
  s.left = s.arrivals;
}

/** Arms a signal, arrives at it, or waits until a phase of the given parity has ended. */
export function signal(code: Code, s: Extract<Stmt, { kind: "signal" }>): Action {
  const [on, amount] = [signalOf(code, s.on), code.index(s.amount)];
  switch (s.op) {
    case "arm":
      return alone((t) => {
        const arrivals = amount(t);
        Object.assign(on(t), { arrivals, left: arrivals, bytes: 0, phase: 0 });
      });
    case "await":
      return together(function* (t) {
        const [awaited, parity] = [on(t), amount(t)];
        yield { what: "await", size: 1, ready: () => awaited.phase % 2 !== parity };
      });
    case "expect":
    case "arrive":
      return alone((t) => {
        const reached = on(t);
        reached.left--;
        if (s.op === "expect") reached.bytes += amount(t);
        settled(reached);
      });
    default:
      return s.op satisfies never;
  }
}

/** Elements of a swizzled row: 128 bytes. */
const rowOf = (dtype: DType): number => 128 / bytesOf(dtype);
/** Where an element of a tile lies: pieces of 16 bytes of a row are exchanged as the row's number in its eight says. */
function swizzled(index: number, row: number): number {
  const piece = row / 8;
  const r = Math.floor(index / row);
  const c = index % row;
  return r * row + ((Math.floor(c / piece) ^ (r % 8)) * piece + (c % piece));
}

/** A tile on its way. */
export function copyTile(code: Code, s: Extract<Stmt, { kind: "copyTile" }>): Action {
  const { dtype, size } = code.plan(s.from);
  const [n, rows, columns] = [code.buffer(s.from), ...s.box];
  const [row, column, elements] = [code.index(s.origin[0]), code.index(s.origin[1]), code.index(size)];
  const [write, to, arrived] = [code.writer(s.to.buffer), code.index(s.to.index), signalOf(code, s.signal)];
  return alone((t) => {
    const [top, left, start, end] = [row(t), column(t), to(t), Math.floor(elements(t) / s.columns) * s.columns];
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const at = (top + r) * s.columns + left + c;
        const inside = left + c < s.columns && at < end;
        write(t, swizzled(start + r * columns + c, rowOf(dtype)), inside ? code.around(t, n, at)[at]! : 0);
      }
    const on = arrived(t);
    on.bytes -= rows * columns * bytesOf(dtype);
    settled(on);
  });
}

/** A product of a tile, or of fragments in registers, with a tile: a lane computes its own accumulators. */
export function inBackground(code: Code, s: Extract<Stmt, { kind: "mma" }>): Action {
  const { unit } = s;
  const row = rowOf(unit.input);
  const tileOf = (r: Ref): ((t: Thread) => (outer: number, inner: number) => number) => {
    const [n, index] = [code.buffer(r.buffer), code.index(r.index)];
    return (t) => {
      const start = index(t);
      return (outer, inner) => {
        const at = swizzled(start + outer * row + inner, row);
        return Number(code.around(t, n, at)[at]);
      };
    };
  };
  const [b, add] = [tileOf(s.b), accumulate(code, s)];
  const bOf = (t: Thread): Along => {
    const element = b(t);
    return unit.turned ? (n, k) => element(k, n) : element;
  };
  if (!unit.regs.a) {
    const a = tileOf(s.a);
    return alone((t) => add(t, a(t), bOf(t)));
  }
  const a = registers(code, s.a, unit.regs.a);
  return together(function* (t) {
    const words = yield { what: "mma", size: 32, brings: a(t) };
    const element: Along = (m, k) =>
      floatOf(Number(words[(m % 8) * 4 + ((k % 8) >> 1)]![2 * (k >> 3) + ((m >> 3) % 2)]!), k % 2, unit.input);
    add(t, element, bOf(t));
  });
}

/** The matrix units that generated kernels use, as data. */
import { add, type Dim, div, mod, mul } from "../core/expr.js";
import type { Digit, FragmentLayout, MatrixUnit } from "./kernel.js";

/** NVIDIA tensor cores from sm_80 on: one warp, operands in registers (PTX ISA, mma.m16n8k16). */
export const mmaSync: MatrixUnit = {
  name: "mma.sync",
  m: 16,
  n: 8,
  k: 16,
  lanes: 32,
  operands: "registers",
  input: "bf16",
  regs: { a: 4, b: 2, acc: 4 },
  layout: {
    row: [
      { of: "lane", over: 4, size: 8, by: 1 },
      { of: "register", over: 2, size: 2, by: 8 },
    ],
    column: [
      { of: "lane", over: 1, size: 4, by: 2 },
      { of: "register", over: 1, size: 2, by: 1 },
    ],
  },
};

/** The same on f16. */
export const mmaSyncF16: MatrixUnit = { ...mmaSync, input: "f16" };
/** The same on f32 operands that were rounded to tf32, which has 10 bits behind the point (mma.m16n8k8). */
export const mmaSyncTf32: MatrixUnit = { ...mmaSync, input: "f32", k: 8, rounds: true };

/** Hopper's asynchronous tensor cores: four warps, operands in shared memory (PTX ISA, wgmma.m64nNk16). */
export const wgmma = (n: number, input: "bf16" | "f16" = "bf16"): MatrixUnit => ({
  name: "wgmma",
  m: 64,
  n,
  k: 16,
  lanes: 128,
  operands: "shared",
  input,
  regs: { a: 0, b: 0, acc: n / 2 },
  layout: {
    row: [
      { of: "lane", over: 32, size: 4, by: 16 },
      { of: "lane", over: 4, size: 8, by: 1 },
      { of: "register", over: 2, size: 2, by: 8 },
    ],
    column: [
      { of: "lane", over: 1, size: 4, by: 2 },
      { of: "register", over: 4, size: n / 8, by: 8 },
      { of: "register", over: 1, size: 2, by: 1 },
    ],
  },
});

/** The same with a in registers, as fragments of 16 rows for each warp. */
export const held = (unit: MatrixUnit): MatrixUnit => ({ ...unit, regs: { ...unit.regs, a: 4 } });
/** The same with b in rows along n. */
export const turned = (unit: MatrixUnit): MatrixUnit => ({ ...unit, turned: true });

/** WebGPU's experimental subgroup matrices: the threads of a subgroup hold tiles that only its functions see. */
export const subgroupMatrix: MatrixUnit = {
  name: "subgroup matrix",
  m: 16,
  n: 16,
  k: 16,
  lanes: 32,
  operands: "registers",
  input: "f16",
  regs: { a: 1, b: 1, acc: 0 },
};

/** Whether a unit's fragments are tiles that only its own instructions see, and how many of them there are: accumulators, and a's and b's. */
export const isOpaque = (unit: MatrixUnit | undefined): boolean => unit?.regs.acc === 0;
export const tileCount = 8;
/** Words of a tile's row. */
export const rowWords = 16;

/** Row and column of accumulator `register` of a lane. */
export function fragmentAt(layout: FragmentLayout, lane: Dim, register: number): readonly [Dim, Dim] {
  const sum = (digits: readonly Digit[]): Dim =>
    add(0, ...digits.map((d) => mul(mod(div(d.of === "lane" ? lane : register, d.over), d.size), d.by)));
  return [sum(layout.row), sum(layout.column)];
}

/** The spellings of NVIDIA's matrix units in PTX. */
import { UnsupportedError } from "../../core/errors.js";
import type { Dialect } from "../../kernel/dialect.js";
import type { MatrixUnit } from "../../kernel/kernel.js";

const list = (n: number, from = 0): string => Array.from({ length: n }, (_, i) => `%${from + i}`).join(",");
const operands = (xs: readonly string[], how: string): string => xs.map((x) => `"${how}"(${x})`).join(", ");

function inRegisters(u: MatrixUnit, acc: readonly string[], a: readonly string[], b: readonly string[], fresh: boolean): string {
  const call = `mma_${u.m}x${u.n}x${u.k}_${u.input}(${[...acc, ...a, ...b].join(", ")});`;
  return fresh ? `${acc.join(" = ")} = 0.0f; ${call}` : call;
}
/** a is a tile, or registers of its fragment; b a tile whose rows run along k, or along n. */
function inBackground(u: MatrixUnit, acc: readonly string[], a: readonly string[], b: readonly string[], fresh: boolean): string {
  const n = acc.length;
  const held = u.regs.a > 0;
  const of = held ? `{${list(u.regs.a, n)}}` : `%${n}`;
  const last = n + (held ? u.regs.a : 1);
  const turns = `${held ? "" : "0, "}${u.turned ? 1 : 0}`;
  const from = held ? operands(a, "r") : `"l"(tile_address(${a[0]}, ${a[1]}))`;
  return (
    `asm volatile("wgmma.mma_async.sync.aligned.m${u.m}n${u.n}k${u.k}.f32.${u.input}.${u.input} {${list(n)}}, ${of}, %${last}, ${fresh ? 0 : 1}, 1, 1, ${turns};" ` +
    `: ${operands(acc, fresh ? "=f" : "+f")} : ${from}, "l"(tile_address(${b[0]}, ${b[1]})));`
  );
}

/** mma.sync takes fragments in registers; wgmma reads shared memory in the background. Both add up in f32. */
export const unitWords: Pick<Dialect, "fill" | "fetch" | "mma" | "spill" | "issue" | "settle"> = {
  fill: (_u, acc) => `${acc.join(" = ")} = 0.0f;`,
  fetch: (_u, into, from, i, _stride, { transposed }) => `fetch_4${transposed ? "_turned" : ""}(${into.join(", ")}, ${from.name} + ${i});`,
  mma: (u, acc, a, b, fresh) => (u.operands === "registers" ? inRegisters(u, acc, a, b, fresh) : inBackground(u, acc, a, b, fresh)),
  spill: () => {
    throw new UnsupportedError("CUDA fragments are not opaque: read their registers where the layout says");
  },
  issue: () => [
    'asm volatile("wgmma.fence.sync.aligned;" ::: "memory");',
    'asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");',
  ],
  // Registers that it names are not touched before: the compiler must not move what uses them.
  settle: (_u, pending, of) =>
    `asm volatile("wgmma.wait_group.sync.aligned ${pending};" ${of.length ? `: ${operands(of, "+f")} :` : "::"}: "memory");`,
};

/** The spellings of NVIDIA's matrix units in PTX. */
import { UnsupportedError } from "../../core/errors.js";
import type { Dialect } from "../../kernel/dialect.js";

const list = (n: number, from = 0): string => Array.from({ length: n }, (_, i) => `%${from + i}`).join(",");
const operands = (xs: readonly string[], how: string): string => xs.map((x) => `"${how}"(${x})`).join(", ");

/** mma.sync takes fragments in registers; wgmma reads shared memory in the background. Both add up in f32. */
export const unitWords: Pick<Dialect, "fill" | "fetch" | "mma" | "spill" | "issue" | "settle"> = {
  fill: (_u, acc) => `${acc.join(" = ")} = 0.0f;`,
  fetch: (_u, into, from, i, _stride, { transposed }) => `fetch_4${transposed ? "_turned" : ""}(${into.join(", ")}, ${from.name} + ${i});`,
  mma: (u, acc, a, b) =>
    u.operands === "registers"
      ? `mma_${u.m}x${u.n}x${u.k}_${u.input}(${[...acc, ...a, ...b].join(", ")});`
      : `asm volatile("wgmma.mma_async.sync.aligned.m${u.m}n${u.n}k${u.k}.f32.${u.input}.${u.input} {${list(acc.length)}}, %${acc.length}, %${acc.length + 1}, 1, 1, 1, 0, 0;" : ${operands(acc, "+f")} : "l"(tile_address(${a[0]} + ${a[1]})), "l"(tile_address(${b[0]} + ${b[1]})));`,
  spill: () => {
    throw new UnsupportedError("CUDA fragments are not opaque: read their registers where the layout says");
  },
  issue: () => [
    'asm volatile("wgmma.fence.sync.aligned;" ::: "memory");',
    'asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");',
  ],
  settle: (_u, pending) => `asm volatile("wgmma.wait_group.sync.aligned ${pending};" ::: "memory");`,
};

/** The kernel that copies one buffer into another. */
import type { Unit } from "../../runtime/units.js";
import { copyBlock, copyThreads } from "./launches.js";

/** A grid point takes `copyBlock` bytes, 16 at a time; buffers begin at multiples of 16. */
export const copyUnit: Unit = {
  entries: ["tp_copy"],
  source: `extern "C" __global__ void __launch_bounds__(${copyThreads}) tp_copy(const uint4* __restrict__ from, uint4* __restrict__ to, long long bytes) {
  const long long first = blockIdx.x * ${copyBlock / 16}ll + threadIdx.x;
  #pragma unroll
  for (int i = 0; i < ${copyBlock / 16 / copyThreads}; i++) {
    const long long at = first + i * ${copyThreads};
    if ((at + 1) * 16 <= bytes) to[at] = from[at];
    else for (long long b = at * 16; b < bytes; b++) ((unsigned char*)to)[b] = ((const unsigned char*)from)[b];
  }
}
`,
};

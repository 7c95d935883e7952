/** Kernels of the device itself: copies of any number of bytes, and the bytes of a word that a write touches in part. */
import type { KernelCode } from "../../runtime/program.js";

const threads = 64;
/** Words that one workgroup copies. */
export const copyWords: number = threads * 16;

/** Copies `bytes` bytes, and leaves the rest of the last word as it is. */
export const copyKernel: KernelCode = {
  entry: "copy_bytes",
  source: `@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> to: array<atomic<u32>>;
struct Dims { bytes: i32 }
@group(0) @binding(2) var<uniform> dims: Dims;
@compute @workgroup_size(${threads}) fn copy_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let whole = u32(dims.bytes) / 4u;
  let rest = u32(dims.bytes) % 4u;
  let first = (group.x + group.y * groups.x) * ${copyWords}u + local;
  for (var k = 0u; k < ${copyWords / threads}u; k++) {
    let i = first + k * ${threads}u;
    if (i < whole) { atomicStore(&to[i], given[i]); }
    else if (i == whole && rest != 0u) {
      let mask = (1u << (8u * rest)) - 1u;
      atomicAnd(&to[i], ~mask);
      atomicOr(&to[i], given[i] & mask);
    }
  }
}
`,
  threads,
  sharedBytes: 0,
  writes: [false, true],
};

/** Sets the bits of one word that a mask names. */
export const patchKernel: KernelCode = {
  entry: "patch_word",
  source: `@group(0) @binding(0) var<storage, read_write> to: array<atomic<u32>>;
struct Dims { word: u32, mask: u32, value: u32 }
@group(0) @binding(1) var<uniform> dims: Dims;
@compute @workgroup_size(1) fn patch_word() {
  atomicAnd(&to[dims.word], ~dims.mask);
  atomicOr(&to[dims.word], dims.value & dims.mask);
}
`,
  threads: 1,
  sharedBytes: 0,
  writes: [true],
};

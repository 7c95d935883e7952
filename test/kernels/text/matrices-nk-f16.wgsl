
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
var<private> unknown_zero: u32 = 0u;
fn from_bits(x: u32) -> f32 { return bitcast<f32>(x | unknown_zero); }
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn max_(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, nan_(b)), a, nan_(a)); }
fn widen_f16(h: u32) -> f32 { let s = (h & 0x8000u) << 16u; let e = (h >> 10u) & 31u; let m = h & 1023u;
  if (e == 0u) { return bitcast<f32>(bitcast<u32>(f32(m) * 5.9604644775390625e-8f) | s); }
  return from_bits(s | (select(e + 112u, 255u, e == 31u) << 23u) | (m << 13u)); }
fn narrow_f16(x: f32) -> u32 { let u = bitcast<u32>(x); let s = (u >> 16u) & 0x8000u; let m = u & 0x7fffffffu;
  if (m > 0x7f800000u) { return s | 0x7e00u | ((m >> 13u) & 0x1ffu); }
  if (m >= 0x477ff000u) { return s | 0x7c00u; }
  if (m >= 0x38800000u) { return s | ((m + 0xfffu + ((m >> 13u) & 1u) - 0x38000000u) >> 13u); }
  return s | (bitcast<u32>(bitcast<f32>(m) + 0.5f) - 0x3f000000u); }
fn round_f16(x: f32) -> f32 { return widen_f16(narrow_f16(x)); }
fn half_of(x: f32) -> f16 { return f16(x); }
@group(0) @binding(0) var<storage, read> in0: array<f16>;
@group(0) @binding(1) var<storage, read> in1: array<f16>;
@group(0) @binding(2) var<storage, read> in2: array<f16>;
@group(0) @binding(3) var<storage, read_write> out0: array<f16>;
var<workgroup> waits: array<f32, 2048>;
@compute @workgroup_size(128) fn dot_cast_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 2) { return; }
var sums_0: subgroup_matrix_result<f32, 16, 16>;
var sums_1: subgroup_matrix_result<f32, 16, 16>;
var sums_2: subgroup_matrix_result<f32, 16, 16>;
var sums_3: subgroup_matrix_result<f32, 16, 16>;
var left_0: subgroup_matrix_left<f16, 16, 16>;
var left_1: subgroup_matrix_left<f16, 16, 16>;
var right_0: subgroup_matrix_right<f16, 16, 16>;
var right_1: subgroup_matrix_right<f16, 16, 16>;
sums_0 = subgroup_matrix_result<f32, 16, 16>();
sums_1 = subgroup_matrix_result<f32, 16, 16>();
sums_2 = subgroup_matrix_result<f32, 16, 16>();
sums_3 = subgroup_matrix_result<f32, 16, 16>();
for (var kk = 0; kk < 3; kk++) {
left_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&in1, u32((16 * kk + 3072 * pid + 1536 * ((tid) >> 6u))), u32(48));
left_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&in1, u32((16 * kk + 3072 * pid + 1536 * ((tid) >> 6u) + 768)), u32(48));
right_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&in0, u32((16 * kk + 1536 * ((((tid) >> 5u)) & 1))), u32(48));
right_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&in0, u32((16 * kk + 1536 * ((((tid) >> 5u)) & 1) + 768)), u32(48));
sums_0 = subgroupMatrixMultiplyAccumulate(left_0, right_0, sums_0);
sums_1 = subgroupMatrixMultiplyAccumulate(left_0, right_1, sums_1);
sums_2 = subgroupMatrixMultiplyAccumulate(left_1, right_0, sums_2);
sums_3 = subgroupMatrixMultiplyAccumulate(left_1, right_1, sums_3);
}
workgroupBarrier();
subgroupMatrixStore<row_major>(&waits, u32(512 * ((tid) >> 5u)), sums_0, u32(32));
subgroupMatrixStore<row_major>(&waits, u32((512 * ((tid) >> 5u) + 16)), sums_1, u32(32));
workgroupBarrier();
for (var turn = 0; turn < 16; turn++) {
out0[(4096 * pid + 64 * turn + 2048 * ((tid) >> 6u) + ((tid) & 31) + 32 * ((((tid) >> 5u)) & 1))] = half_of(round_f16(max_((waits[(32 * turn + 512 * ((tid) >> 5u) + ((tid) & 31))] + f32(in2[(((tid) & 31) + 32 * ((((tid) >> 5u)) & 1))])), 0.0f)));
}
workgroupBarrier();
subgroupMatrixStore<row_major>(&waits, u32(512 * ((tid) >> 5u)), sums_2, u32(32));
subgroupMatrixStore<row_major>(&waits, u32((512 * ((tid) >> 5u) + 16)), sums_3, u32(32));
workgroupBarrier();
for (var turn = 0; turn < 16; turn++) {
out0[(4096 * pid + 64 * turn + 2048 * ((tid) >> 6u) + ((tid) & 31) + 32 * ((((tid) >> 5u)) & 1) + 1024)] = half_of(round_f16(max_((waits[(32 * turn + 512 * ((tid) >> 5u) + ((tid) & 31))] + f32(in2[(((tid) & 31) + 32 * ((((tid) >> 5u)) & 1))])), 0.0f)));
}
}


enable f16;
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
@group(0) @binding(0) var<storage, read> in0: array<vec4<f16>>;
@group(0) @binding(1) var<storage, read> in1: array<f16>;
@group(0) @binding(2) var<storage, read> in2: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read_write> out0: array<vec4<f16>>;
var<workgroup> aStage: array<f32, 1088>;
var<workgroup> bStage: array<vec4<f32>, 272>;
@compute @workgroup_size(256) fn dot_cast_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 4) { return; }
var acc_0: f32;
var acc_1: f32;
var acc_2: f32;
var acc_3: f32;
var acc_4: f32;
var acc_5: f32;
var acc_6: f32;
var acc_7: f32;
var acc_8: f32;
var acc_9: f32;
var acc_10: f32;
var acc_11: f32;
var acc_12: f32;
var acc_13: f32;
var acc_14: f32;
var acc_15: f32;
var br_0: f32;
var br_1: f32;
var br_2: f32;
var br_3: f32;
var ar_0: f32;
var ar_1: f32;
var ar_2: f32;
var ar_3: f32;
acc_0 = 0.0f;
acc_1 = 0.0f;
acc_2 = 0.0f;
acc_3 = 0.0f;
acc_4 = 0.0f;
acc_5 = 0.0f;
acc_6 = 0.0f;
acc_7 = 0.0f;
acc_8 = 0.0f;
acc_9 = 0.0f;
acc_10 = 0.0f;
acc_11 = 0.0f;
acc_12 = 0.0f;
acc_13 = 0.0f;
acc_14 = 0.0f;
acc_15 = 0.0f;
for (var k4 = 0; k4 < 4; k4++) {
workgroupBarrier();
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 3) < 70) {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15))] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15))]); aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15)) + 1] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 64)]); aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15)) + 2] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 128)]); aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15)) + 3] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 192)]);
} else {
{
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u)) < 70) {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15))] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15))]);
} else {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15))] = 0.0f;
}
}
{
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 1) < 70) {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 1)] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 64)]);
} else {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 1)] = 0.0f;
}
}
{
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 2) < 70) {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 2)] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 128)]);
} else {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 2)] = 0.0f;
}
}
{
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 3) < 70) {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 3)] = f32(in1[(16 * k4 + 4096 * ((pid) >> 1u) + 256 * ((tid) >> 4u) + ((tid) & 15) + 192)]);
} else {
aStage[(4 * ((tid) >> 4u) + 68 * ((tid) & 15) + 3)] = 0.0f;
}
}
}
let t_0_v0 = vec4<f32>(in0[(((2048 * k4 + 128 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]); let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
bStage[(((68 * ((tid) >> 4u) + 4 * ((tid) & 15))) >> 2u)] = vec4<f32>(t_0_0, t_0_1, t_0_2, t_0_3);
workgroupBarrier();
for (var k = 0; k < 4; k++) {
let t_1_v0 = bStage[(((272 * k + 4 * ((tid) & 15))) >> 2u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
br_0 = t_1_0;
br_1 = t_1_1;
br_2 = t_1_2;
br_3 = t_1_3;
let t_2_0 = aStage[(272 * k + 4 * ((tid) >> 4u))]; let t_2_1 = aStage[(272 * k + 4 * ((tid) >> 4u)) + 1]; let t_2_2 = aStage[(272 * k + 4 * ((tid) >> 4u)) + 2]; let t_2_3 = aStage[(272 * k + 4 * ((tid) >> 4u)) + 3];
ar_0 = t_2_0;
ar_1 = t_2_1;
ar_2 = t_2_2;
ar_3 = t_2_3;
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
let t_3_v0 = bStage[(((272 * k + 4 * ((tid) & 15) + 68)) >> 2u)]; let t_3_0 = t_3_v0.x; let t_3_1 = t_3_v0.y; let t_3_2 = t_3_v0.z; let t_3_3 = t_3_v0.w;
br_0 = t_3_0;
br_1 = t_3_1;
br_2 = t_3_2;
br_3 = t_3_3;
let t_4_0 = aStage[(272 * k + 4 * ((tid) >> 4u) + 68)]; let t_4_1 = aStage[(272 * k + 4 * ((tid) >> 4u) + 68) + 1]; let t_4_2 = aStage[(272 * k + 4 * ((tid) >> 4u) + 68) + 2]; let t_4_3 = aStage[(272 * k + 4 * ((tid) >> 4u) + 68) + 3];
ar_0 = t_4_0;
ar_1 = t_4_1;
ar_2 = t_4_2;
ar_3 = t_4_3;
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
let t_5_v0 = bStage[(((272 * k + 4 * ((tid) & 15) + 136)) >> 2u)]; let t_5_0 = t_5_v0.x; let t_5_1 = t_5_v0.y; let t_5_2 = t_5_v0.z; let t_5_3 = t_5_v0.w;
br_0 = t_5_0;
br_1 = t_5_1;
br_2 = t_5_2;
br_3 = t_5_3;
let t_6_0 = aStage[(272 * k + 4 * ((tid) >> 4u) + 136)]; let t_6_1 = aStage[(272 * k + 4 * ((tid) >> 4u) + 136) + 1]; let t_6_2 = aStage[(272 * k + 4 * ((tid) >> 4u) + 136) + 2]; let t_6_3 = aStage[(272 * k + 4 * ((tid) >> 4u) + 136) + 3];
ar_0 = t_6_0;
ar_1 = t_6_1;
ar_2 = t_6_2;
ar_3 = t_6_3;
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
let t_7_v0 = bStage[(((272 * k + 4 * ((tid) & 15) + 204)) >> 2u)]; let t_7_0 = t_7_v0.x; let t_7_1 = t_7_v0.y; let t_7_2 = t_7_v0.z; let t_7_3 = t_7_v0.w;
br_0 = t_7_0;
br_1 = t_7_1;
br_2 = t_7_2;
br_3 = t_7_3;
let t_8_0 = aStage[(272 * k + 4 * ((tid) >> 4u) + 204)]; let t_8_1 = aStage[(272 * k + 4 * ((tid) >> 4u) + 204) + 1]; let t_8_2 = aStage[(272 * k + 4 * ((tid) >> 4u) + 204) + 2]; let t_8_3 = aStage[(272 * k + 4 * ((tid) >> 4u) + 204) + 3];
ar_0 = t_8_0;
ar_1 = t_8_1;
ar_2 = t_8_2;
ar_3 = t_8_3;
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u)) < 70) {
let t_9_v0 = vec4<f32>(in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]); let t_9_0 = t_9_v0.x; let t_9_1 = t_9_v0.y; let t_9_2 = t_9_v0.z; let t_9_3 = t_9_v0.w;
out0[(((8192 * ((pid) >> 1u) + 512 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)] = vec4<f16>(half_of(round_f16(max_((acc_0 + t_9_0), 0.0f))), half_of(round_f16(max_((acc_1 + t_9_1), 0.0f))), half_of(round_f16(max_((acc_2 + t_9_2), 0.0f))), half_of(round_f16(max_((acc_3 + t_9_3), 0.0f))));
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 1) < 70) {
let t_10_v0 = vec4<f32>(in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]); let t_10_0 = t_10_v0.x; let t_10_1 = t_10_v0.y; let t_10_2 = t_10_v0.z; let t_10_3 = t_10_v0.w;
out0[(((8192 * ((pid) >> 1u) + 512 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 128)) >> 2u)] = vec4<f16>(half_of(round_f16(max_((acc_4 + t_10_0), 0.0f))), half_of(round_f16(max_((acc_5 + t_10_1), 0.0f))), half_of(round_f16(max_((acc_6 + t_10_2), 0.0f))), half_of(round_f16(max_((acc_7 + t_10_3), 0.0f))));
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 2) < 70) {
let t_11_v0 = vec4<f32>(in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]); let t_11_0 = t_11_v0.x; let t_11_1 = t_11_v0.y; let t_11_2 = t_11_v0.z; let t_11_3 = t_11_v0.w;
out0[(((8192 * ((pid) >> 1u) + 512 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 256)) >> 2u)] = vec4<f16>(half_of(round_f16(max_((acc_8 + t_11_0), 0.0f))), half_of(round_f16(max_((acc_9 + t_11_1), 0.0f))), half_of(round_f16(max_((acc_10 + t_11_2), 0.0f))), half_of(round_f16(max_((acc_11 + t_11_3), 0.0f))));
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 3) < 70) {
let t_12_v0 = vec4<f32>(in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]); let t_12_0 = t_12_v0.x; let t_12_1 = t_12_v0.y; let t_12_2 = t_12_v0.z; let t_12_3 = t_12_v0.w;
out0[(((8192 * ((pid) >> 1u) + 512 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 384)) >> 2u)] = vec4<f16>(half_of(round_f16(max_((acc_12 + t_12_0), 0.0f))), half_of(round_f16(max_((acc_13 + t_12_1), 0.0f))), half_of(round_f16(max_((acc_14 + t_12_2), 0.0f))), half_of(round_f16(max_((acc_15 + t_12_3), 0.0f))));
}
}

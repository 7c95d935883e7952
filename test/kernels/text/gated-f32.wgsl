
var<private> unknown_zero: u32 = 0u;
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | unknown_zero); }
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn neg_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }
fn scale_(x: f32, n: i32) -> f32 { let h = n >> 1u; let g = n - h; return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(g + 127) << 23u); }
fn exp_far(x: f32) -> f32 { if (nan_(x)) { return x; } if (x > 88.8f) { return infinity(); } if (x < -104.0f) { return 0.0f; } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return scale_(fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f, i32(n)); }
fn exp_(x: f32) -> f32 { if ((bitcast<u32>(x) & 0x7fffffffu) > 0x42ae0000u) { return exp_far(x); } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return (fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f) * bitcast<f32>((i32(n) << 23u) + 0x3f800000); }
@group(0) @binding(0) var<storage, read> in0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> in1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> in2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;
var<workgroup> aStage: array<f32, 1088>;
var<workgroup> bStage: array<f32, 1088>;
var<workgroup> bStage1: array<f32, 1088>;
@compute @workgroup_size(256) fn dot_mul_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
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
var acc_16: f32;
var acc_17: f32;
var acc_18: f32;
var acc_19: f32;
var acc_20: f32;
var acc_21: f32;
var acc_22: f32;
var acc_23: f32;
var acc_24: f32;
var acc_25: f32;
var acc_26: f32;
var acc_27: f32;
var acc_28: f32;
var acc_29: f32;
var acc_30: f32;
var acc_31: f32;
var br_0: f32;
var br_1: f32;
var br_2: f32;
var br_3: f32;
var br_4: f32;
var br_5: f32;
var br_6: f32;
var br_7: f32;
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
acc_16 = 0.0f;
acc_17 = 0.0f;
acc_18 = 0.0f;
acc_19 = 0.0f;
acc_20 = 0.0f;
acc_21 = 0.0f;
acc_22 = 0.0f;
acc_23 = 0.0f;
acc_24 = 0.0f;
acc_25 = 0.0f;
acc_26 = 0.0f;
acc_27 = 0.0f;
acc_28 = 0.0f;
acc_29 = 0.0f;
acc_30 = 0.0f;
acc_31 = 0.0f;
for (var k4 = 0; k4 < 3; k4++) {
workgroupBarrier();
if ((64 * ((pid) >> 1u) + ((tid) >> 2u)) < 70) {
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
let t_0_v0 = in1[(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3))) >> 2u)]; let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = t_0_0;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = t_0_1;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = t_0_2;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = t_0_3;
} else {
{
if ((16 * k4 + 4 * ((tid) & 3)) < 40) {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = in1[(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3))) >> 2u)][(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3))) & 3)];
} else {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 1) < 40) {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = in1[(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)) >> 2u)][(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)) & 3)];
} else {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 2) < 40) {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = in1[(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)) >> 2u)][(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)) & 3)];
} else {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = in1[(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)) >> 2u)][(((16 * k4 + 2560 * ((pid) >> 1u) + 40 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)) & 3)];
} else {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
}
}
} else {
aStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
aStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
if ((((tid) >> 2u) + 64 * ((pid) & 1)) < 90) {
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
let t_1_v0 = in0[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) >> 2u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = t_1_0;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = t_1_1;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = t_1_2;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = t_1_3;
} else {
{
if ((16 * k4 + 4 * ((tid) & 3)) < 40) {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = in0[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) & 3)];
} else {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 1) < 40) {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = in0[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 1)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 1)) & 3)];
} else {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 2) < 40) {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = in0[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 2)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 2)) & 3)];
} else {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = in0[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 3)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 3)) & 3)];
} else {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
}
}
} else {
bStage[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
bStage[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
if ((((tid) >> 2u) + 64 * ((pid) & 1)) < 90) {
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
let t_2_v0 = in2[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) >> 2u)]; let t_2_0 = t_2_v0.x; let t_2_1 = t_2_v0.y; let t_2_2 = t_2_v0.z; let t_2_3 = t_2_v0.w;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3))] = t_2_0;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = t_2_1;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = t_2_2;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = t_2_3;
} else {
{
if ((16 * k4 + 4 * ((tid) & 3)) < 40) {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3))] = in2[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3))) & 3)];
} else {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 1) < 40) {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = in2[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 1)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 1)) & 3)];
} else {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 2) < 40) {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = in2[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 2)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 2)) & 3)];
} else {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 40) {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = in2[(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 3)) >> 2u)][(((16 * k4 + 40 * ((tid) >> 2u) + 2560 * ((pid) & 1) + 4 * ((tid) & 3) + 3)) & 3)];
} else {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
}
}
} else {
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3))] = 0.0f;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 68)] = 0.0f;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 136)] = 0.0f;
bStage1[(((tid) >> 2u) + 272 * ((tid) & 3) + 204)] = 0.0f;
}
workgroupBarrier();
for (var k = 0; k < 8 * min(((-2) * k4 + 5), 2); k++) {
let t_3_0 = bStage[(68 * k + 4 * ((tid) & 15))]; let t_3_1 = bStage[(68 * k + 4 * ((tid) & 15)) + 1]; let t_3_2 = bStage[(68 * k + 4 * ((tid) & 15)) + 2]; let t_3_3 = bStage[(68 * k + 4 * ((tid) & 15)) + 3];
br_0 = t_3_0;
br_1 = t_3_1;
br_2 = t_3_2;
br_3 = t_3_3;
let t_4_0 = bStage1[(68 * k + 4 * ((tid) & 15))]; let t_4_1 = bStage1[(68 * k + 4 * ((tid) & 15)) + 1]; let t_4_2 = bStage1[(68 * k + 4 * ((tid) & 15)) + 2]; let t_4_3 = bStage1[(68 * k + 4 * ((tid) & 15)) + 3];
br_4 = t_4_0;
br_5 = t_4_1;
br_6 = t_4_2;
br_7 = t_4_3;
let t_5_0 = aStage[(68 * k + 4 * ((tid) >> 4u))]; let t_5_1 = aStage[(68 * k + 4 * ((tid) >> 4u)) + 1]; let t_5_2 = aStage[(68 * k + 4 * ((tid) >> 4u)) + 2]; let t_5_3 = aStage[(68 * k + 4 * ((tid) >> 4u)) + 3];
ar_0 = t_5_0;
ar_1 = t_5_1;
ar_2 = t_5_2;
ar_3 = t_5_3;
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
acc_16 = fma(ar_0, br_4, acc_16);
acc_17 = fma(ar_0, br_5, acc_17);
acc_18 = fma(ar_0, br_6, acc_18);
acc_19 = fma(ar_0, br_7, acc_19);
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
acc_20 = fma(ar_1, br_4, acc_20);
acc_21 = fma(ar_1, br_5, acc_21);
acc_22 = fma(ar_1, br_6, acc_22);
acc_23 = fma(ar_1, br_7, acc_23);
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
acc_24 = fma(ar_2, br_4, acc_24);
acc_25 = fma(ar_2, br_5, acc_25);
acc_26 = fma(ar_2, br_6, acc_26);
acc_27 = fma(ar_2, br_7, acc_27);
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
acc_28 = fma(ar_3, br_4, acc_28);
acc_29 = fma(ar_3, br_5, acc_29);
acc_30 = fma(ar_3, br_6, acc_30);
acc_31 = fma(ar_3, br_7, acc_31);
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u)) < 70) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))] = ((acc_0 / (exp_(neg_(acc_0)) + 1.0f)) * acc_16); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 1] = ((acc_1 / (exp_(neg_(acc_1)) + 1.0f)) * acc_17); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 2] = ((acc_2 / (exp_(neg_(acc_2)) + 1.0f)) * acc_18); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 3] = ((acc_3 / (exp_(neg_(acc_3)) + 1.0f)) * acc_19);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))] = ((acc_0 / (exp_(neg_(acc_0)) + 1.0f)) * acc_16);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)] = ((acc_1 / (exp_(neg_(acc_1)) + 1.0f)) * acc_17);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)] = ((acc_2 / (exp_(neg_(acc_2)) + 1.0f)) * acc_18);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)] = ((acc_3 / (exp_(neg_(acc_3)) + 1.0f)) * acc_19);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 1) < 70) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 90)] = ((acc_4 / (exp_(neg_(acc_4)) + 1.0f)) * acc_20);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 91)] = ((acc_5 / (exp_(neg_(acc_5)) + 1.0f)) * acc_21);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 92)] = ((acc_6 / (exp_(neg_(acc_6)) + 1.0f)) * acc_22);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 93)] = ((acc_7 / (exp_(neg_(acc_7)) + 1.0f)) * acc_23);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 90)] = ((acc_4 / (exp_(neg_(acc_4)) + 1.0f)) * acc_20);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 91)] = ((acc_5 / (exp_(neg_(acc_5)) + 1.0f)) * acc_21);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 92)] = ((acc_6 / (exp_(neg_(acc_6)) + 1.0f)) * acc_22);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 93)] = ((acc_7 / (exp_(neg_(acc_7)) + 1.0f)) * acc_23);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 2) < 70) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180)] = ((acc_8 / (exp_(neg_(acc_8)) + 1.0f)) * acc_24); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 1] = ((acc_9 / (exp_(neg_(acc_9)) + 1.0f)) * acc_25); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 2] = ((acc_10 / (exp_(neg_(acc_10)) + 1.0f)) * acc_26); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 3] = ((acc_11 / (exp_(neg_(acc_11)) + 1.0f)) * acc_27);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180)] = ((acc_8 / (exp_(neg_(acc_8)) + 1.0f)) * acc_24);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 181)] = ((acc_9 / (exp_(neg_(acc_9)) + 1.0f)) * acc_25);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 182)] = ((acc_10 / (exp_(neg_(acc_10)) + 1.0f)) * acc_26);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 183)] = ((acc_11 / (exp_(neg_(acc_11)) + 1.0f)) * acc_27);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 3) < 70) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 270)] = ((acc_12 / (exp_(neg_(acc_12)) + 1.0f)) * acc_28);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 271)] = ((acc_13 / (exp_(neg_(acc_13)) + 1.0f)) * acc_29);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 272)] = ((acc_14 / (exp_(neg_(acc_14)) + 1.0f)) * acc_30);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 273)] = ((acc_15 / (exp_(neg_(acc_15)) + 1.0f)) * acc_31);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 270)] = ((acc_12 / (exp_(neg_(acc_12)) + 1.0f)) * acc_28);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 271)] = ((acc_13 / (exp_(neg_(acc_13)) + 1.0f)) * acc_29);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 272)] = ((acc_14 / (exp_(neg_(acc_14)) + 1.0f)) * acc_30);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 273)] = ((acc_15 / (exp_(neg_(acc_15)) + 1.0f)) * acc_31);
}
}
}
}
}

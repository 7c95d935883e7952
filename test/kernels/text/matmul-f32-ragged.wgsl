
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn max_(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, nan_(b)), a, nan_(a)); }
@group(0) @binding(0) var<storage, read> in0: array<f32>;
@group(0) @binding(1) var<storage, read> in1: array<f32>;
@group(0) @binding(2) var<storage, read> in2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out0: array<f32>;
var<workgroup> aStage: array<f32, 1088>;
var<workgroup> bStage: array<f32, 1088>;
@compute @workgroup_size(256) fn dot_maximum_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
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
if ((64 * ((pid) >> 1u) + ((tid) >> 2u)) < 100) {
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 50) {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3))] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3))];
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)];
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)];
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)];
} else {
{
if ((16 * k4 + 4 * ((tid) & 3)) < 50) {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3))] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3))];
} else {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 1) < 50) {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)];
} else {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 2) < 50) {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)];
} else {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * ((tid) & 3) + 3) < 50) {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)] = in1[(16 * k4 + 3200 * ((pid) >> 1u) + 50 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)];
} else {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)] = 0.0f;
}
}
}
} else {
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3))] = 0.0f;
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 1)] = 0.0f;
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 2)] = 0.0f;
aStage[(17 * ((tid) >> 2u) + 4 * ((tid) & 3) + 3)] = 0.0f;
}
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
if ((16 * k4 + ((tid) >> 4u)) < 50) {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15))] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))]; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 1] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)]; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 2] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)]; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 3] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)];
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15))] = 0.0f; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 1] = 0.0f; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 2] = 0.0f; bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15)) + 3] = 0.0f;
}
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
if ((16 * k4 + ((tid) >> 4u)) < 50) {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15))] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))];
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15))] = 0.0f;
}
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15))] = 0.0f;
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
if ((16 * k4 + ((tid) >> 4u)) < 50) {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 1)] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)];
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 1)] = 0.0f;
}
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 1)] = 0.0f;
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
if ((16 * k4 + ((tid) >> 4u)) < 50) {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 2)] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)];
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 2)] = 0.0f;
}
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 2)] = 0.0f;
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
if ((16 * k4 + ((tid) >> 4u)) < 50) {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 3)] = in0[(1440 * k4 + 90 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)];
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 3)] = 0.0f;
}
} else {
bStage[(68 * ((tid) >> 4u) + 4 * ((tid) & 15) + 3)] = 0.0f;
}
}
}
workgroupBarrier();
for (var k = 0; k < 2 * min(((-8) * k4 + 25), 8); k++) {
let t_0_0 = bStage[(68 * k + 4 * ((tid) & 15))]; let t_0_1 = bStage[(68 * k + 4 * ((tid) & 15)) + 1]; let t_0_2 = bStage[(68 * k + 4 * ((tid) & 15)) + 2]; let t_0_3 = bStage[(68 * k + 4 * ((tid) & 15)) + 3];
br_0 = t_0_0;
br_1 = t_0_1;
br_2 = t_0_2;
br_3 = t_0_3;
ar_0 = aStage[(k + 68 * ((tid) >> 4u))];
acc_0 = fma(ar_0, br_0, acc_0);
acc_1 = fma(ar_0, br_1, acc_1);
acc_2 = fma(ar_0, br_2, acc_2);
acc_3 = fma(ar_0, br_3, acc_3);
ar_1 = aStage[(k + 68 * ((tid) >> 4u) + 17)];
acc_4 = fma(ar_1, br_0, acc_4);
acc_5 = fma(ar_1, br_1, acc_5);
acc_6 = fma(ar_1, br_2, acc_6);
acc_7 = fma(ar_1, br_3, acc_7);
ar_2 = aStage[(k + 68 * ((tid) >> 4u) + 34)];
acc_8 = fma(ar_2, br_0, acc_8);
acc_9 = fma(ar_2, br_1, acc_9);
acc_10 = fma(ar_2, br_2, acc_10);
acc_11 = fma(ar_2, br_3, acc_11);
ar_3 = aStage[(k + 68 * ((tid) >> 4u) + 51)];
acc_12 = fma(ar_3, br_0, acc_12);
acc_13 = fma(ar_3, br_1, acc_13);
acc_14 = fma(ar_3, br_2, acc_14);
acc_15 = fma(ar_3, br_3, acc_15);
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u)) < 100) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
let t_1_v0 = in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))] = max_((acc_0 + t_1_0), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 1] = max_((acc_1 + t_1_1), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 2] = max_((acc_2 + t_1_2), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15)) + 3] = max_((acc_3 + t_1_3), 0.0f);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15))] = max_((acc_0 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15))) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)] = max_((acc_1 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)] = max_((acc_2 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)] = max_((acc_3 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) & 3)]), 0.0f);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 1) < 100) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
let t_2_v0 = in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]; let t_2_0 = t_2_v0.x; let t_2_1 = t_2_v0.y; let t_2_2 = t_2_v0.z; let t_2_3 = t_2_v0.w;
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 90)] = max_((acc_4 + t_2_0), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 91)] = max_((acc_5 + t_2_1), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 92)] = max_((acc_6 + t_2_2), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 93)] = max_((acc_7 + t_2_3), 0.0f);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 90)] = max_((acc_4 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15))) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 91)] = max_((acc_5 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 92)] = max_((acc_6 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 93)] = max_((acc_7 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) & 3)]), 0.0f);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 2) < 100) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
let t_3_v0 = in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]; let t_3_0 = t_3_v0.x; let t_3_1 = t_3_v0.y; let t_3_2 = t_3_v0.z; let t_3_3 = t_3_v0.w;
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180)] = max_((acc_8 + t_3_0), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 1] = max_((acc_9 + t_3_1), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 2] = max_((acc_10 + t_3_2), 0.0f); out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180) + 3] = max_((acc_11 + t_3_3), 0.0f);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 180)] = max_((acc_8 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15))) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 181)] = max_((acc_9 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 182)] = max_((acc_10 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 183)] = max_((acc_11 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) & 3)]), 0.0f);
}
}
}
}
if ((64 * ((pid) >> 1u) + 4 * ((tid) >> 4u) + 3) < 100) {
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
let t_4_v0 = in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)]; let t_4_0 = t_4_v0.x; let t_4_1 = t_4_v0.y; let t_4_2 = t_4_v0.z; let t_4_3 = t_4_v0.w;
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 270)] = max_((acc_12 + t_4_0), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 271)] = max_((acc_13 + t_4_1), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 272)] = max_((acc_14 + t_4_2), 0.0f);
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 273)] = max_((acc_15 + t_4_3), 0.0f);
} else {
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15)) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 270)] = max_((acc_12 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15))) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15))) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 271)] = max_((acc_13 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 1)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 272)] = max_((acc_14 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 2)) & 3)]), 0.0f);
}
}
{
if ((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3) < 90) {
out0[(5760 * ((pid) >> 1u) + 360 * ((tid) >> 4u) + 64 * ((pid) & 1) + 4 * ((tid) & 15) + 273)] = max_((acc_15 + in2[(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) >> 2u)][(((64 * ((pid) & 1) + 4 * ((tid) & 15) + 3)) & 3)]), 0.0f);
}
}
}
}
}

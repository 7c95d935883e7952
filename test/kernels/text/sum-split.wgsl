
@group(0) @binding(0) var<storage, read> in0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> tmp0: array<f32>;
var<workgroup> part_f32: array<f32, 256>;
fn combine_add_f32_256(x: f32, tid: i32) -> f32 {
workgroupBarrier();
part_f32[tid] = x;
workgroupBarrier();
let at = tid % 256;
for (var o = 128; o > 0; o /= 2) {
if (at < o && at + o < 256) { let a = part_f32[tid]; let b = part_f32[tid + o]; part_f32[tid] = a + b; }
workgroupBarrier();
}
return part_f32[tid - at];
}
@compute @workgroup_size(256) fn sum_parts_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 4) { return; }
var acc0_0: f32;
var acc0_1: f32;
var acc0_2: f32;
var acc0_3: f32;
var acc0_4: f32;
var acc0_5: f32;
var acc0_6: f32;
var acc0_7: f32;
var acc0_8: f32;
var acc0_9: f32;
var acc0_10: f32;
var acc0_11: f32;
var acc0_12: f32;
var acc0_13: f32;
var acc0_14: f32;
var acc0_15: f32;
var acc0_16: f32;
var acc0_17: f32;
var acc0_18: f32;
var acc0_19: f32;
var acc0_20: f32;
var acc0_21: f32;
var acc0_22: f32;
var acc0_23: f32;
var acc0_24: f32;
var acc0_25: f32;
var acc0_26: f32;
var acc0_27: f32;
var acc0_28: f32;
var acc0_29: f32;
var acc0_30: f32;
var acc0_31: f32;
var sum0_0: f32;
acc0_0 = 0.0f;
acc0_1 = 0.0f;
acc0_2 = 0.0f;
acc0_3 = 0.0f;
acc0_4 = 0.0f;
acc0_5 = 0.0f;
acc0_6 = 0.0f;
acc0_7 = 0.0f;
acc0_8 = 0.0f;
acc0_9 = 0.0f;
acc0_10 = 0.0f;
acc0_11 = 0.0f;
acc0_12 = 0.0f;
acc0_13 = 0.0f;
acc0_14 = 0.0f;
acc0_15 = 0.0f;
acc0_16 = 0.0f;
acc0_17 = 0.0f;
acc0_18 = 0.0f;
acc0_19 = 0.0f;
acc0_20 = 0.0f;
acc0_21 = 0.0f;
acc0_22 = 0.0f;
acc0_23 = 0.0f;
acc0_24 = 0.0f;
acc0_25 = 0.0f;
acc0_26 = 0.0f;
acc0_27 = 0.0f;
acc0_28 = 0.0f;
acc0_29 = 0.0f;
acc0_30 = 0.0f;
acc0_31 = 0.0f;
for (var j8 = 0; j8 < 4; j8++) {
let t_0_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid)) >> 2u)]; let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
acc0_0 = (acc0_0 + t_0_0);
acc0_1 = (acc0_1 + t_0_1);
acc0_2 = (acc0_2 + t_0_2);
acc0_3 = (acc0_3 + t_0_3);
let t_1_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 1024)) >> 2u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
acc0_4 = (acc0_4 + t_1_0);
acc0_5 = (acc0_5 + t_1_1);
acc0_6 = (acc0_6 + t_1_2);
acc0_7 = (acc0_7 + t_1_3);
let t_2_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 2048)) >> 2u)]; let t_2_0 = t_2_v0.x; let t_2_1 = t_2_v0.y; let t_2_2 = t_2_v0.z; let t_2_3 = t_2_v0.w;
acc0_8 = (acc0_8 + t_2_0);
acc0_9 = (acc0_9 + t_2_1);
acc0_10 = (acc0_10 + t_2_2);
acc0_11 = (acc0_11 + t_2_3);
let t_3_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 3072)) >> 2u)]; let t_3_0 = t_3_v0.x; let t_3_1 = t_3_v0.y; let t_3_2 = t_3_v0.z; let t_3_3 = t_3_v0.w;
acc0_12 = (acc0_12 + t_3_0);
acc0_13 = (acc0_13 + t_3_1);
acc0_14 = (acc0_14 + t_3_2);
acc0_15 = (acc0_15 + t_3_3);
let t_4_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 4096)) >> 2u)]; let t_4_0 = t_4_v0.x; let t_4_1 = t_4_v0.y; let t_4_2 = t_4_v0.z; let t_4_3 = t_4_v0.w;
acc0_16 = (acc0_16 + t_4_0);
acc0_17 = (acc0_17 + t_4_1);
acc0_18 = (acc0_18 + t_4_2);
acc0_19 = (acc0_19 + t_4_3);
let t_5_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 5120)) >> 2u)]; let t_5_0 = t_5_v0.x; let t_5_1 = t_5_v0.y; let t_5_2 = t_5_v0.z; let t_5_3 = t_5_v0.w;
acc0_20 = (acc0_20 + t_5_0);
acc0_21 = (acc0_21 + t_5_1);
acc0_22 = (acc0_22 + t_5_2);
acc0_23 = (acc0_23 + t_5_3);
let t_6_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 6144)) >> 2u)]; let t_6_0 = t_6_v0.x; let t_6_1 = t_6_v0.y; let t_6_2 = t_6_v0.z; let t_6_3 = t_6_v0.w;
acc0_24 = (acc0_24 + t_6_0);
acc0_25 = (acc0_25 + t_6_1);
acc0_26 = (acc0_26 + t_6_2);
acc0_27 = (acc0_27 + t_6_3);
let t_7_v0 = in0[(((8192 * j8 + 32768 * pid + 4 * tid + 7168)) >> 2u)]; let t_7_0 = t_7_v0.x; let t_7_1 = t_7_v0.y; let t_7_2 = t_7_v0.z; let t_7_3 = t_7_v0.w;
acc0_28 = (acc0_28 + t_7_0);
acc0_29 = (acc0_29 + t_7_1);
acc0_30 = (acc0_30 + t_7_2);
acc0_31 = (acc0_31 + t_7_3);
}
sum0_0 = combine_add_f32_256((((((((((((((((((((((((((((((((acc0_0 + acc0_1) + acc0_2) + acc0_3) + acc0_4) + acc0_5) + acc0_6) + acc0_7) + acc0_8) + acc0_9) + acc0_10) + acc0_11) + acc0_12) + acc0_13) + acc0_14) + acc0_15) + acc0_16) + acc0_17) + acc0_18) + acc0_19) + acc0_20) + acc0_21) + acc0_22) + acc0_23) + acc0_24) + acc0_25) + acc0_26) + acc0_27) + acc0_28) + acc0_29) + acc0_30) + acc0_31), tid);
if (tid < 1) {
tmp0[pid] = sum0_0;
}
}
@group(0) @binding(0) var<storage, read_write> out0: array<f32>;
@group(0) @binding(1) var<storage, read> tmp0: array<vec4<f32>>;
var<workgroup> part_f32: array<f32, 32>;
fn combine_add_f32_32(x: f32, tid: i32) -> f32 {
workgroupBarrier();
part_f32[tid] = x;
workgroupBarrier();
let at = tid % 32;
for (var o = 16; o > 0; o /= 2) {
if (at < o && at + o < 32) { let a = part_f32[tid]; let b = part_f32[tid + o]; part_f32[tid] = a + b; }
workgroupBarrier();
}
return part_f32[tid - at];
}
@compute @workgroup_size(32) fn sum_whole_1z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 1) { return; }
var acc0_0: f32;
var acc0_1: f32;
var acc0_2: f32;
var acc0_3: f32;
var acc0_4: f32;
var acc0_5: f32;
var acc0_6: f32;
var acc0_7: f32;
var sum0_0: f32;
acc0_0 = 0.0f;
acc0_1 = 0.0f;
acc0_2 = 0.0f;
acc0_3 = 0.0f;
acc0_4 = 0.0f;
acc0_5 = 0.0f;
acc0_6 = 0.0f;
acc0_7 = 0.0f;
if ((4 * tid + 3) < 4) {
let t_0_v0 = tmp0[((4 * tid) >> 2u)]; let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
acc0_0 = (acc0_0 + t_0_0);
acc0_1 = (acc0_1 + t_0_1);
acc0_2 = (acc0_2 + t_0_2);
acc0_3 = (acc0_3 + t_0_3);
} else {
{
if (4 * tid < 4) {
acc0_0 = (acc0_0 + tmp0[((4 * tid) >> 2u)][((4 * tid) & 3)]);
}
}
{
if ((4 * tid + 1) < 4) {
acc0_1 = (acc0_1 + tmp0[(((4 * tid + 1)) >> 2u)][(((4 * tid + 1)) & 3)]);
}
}
{
if ((4 * tid + 2) < 4) {
acc0_2 = (acc0_2 + tmp0[(((4 * tid + 2)) >> 2u)][(((4 * tid + 2)) & 3)]);
}
}
{
if ((4 * tid + 3) < 4) {
acc0_3 = (acc0_3 + tmp0[(((4 * tid + 3)) >> 2u)][(((4 * tid + 3)) & 3)]);
}
}
}
sum0_0 = combine_add_f32_32((((((((acc0_0 + acc0_1) + acc0_2) + acc0_3) + acc0_4) + acc0_5) + acc0_6) + acc0_7), tid);
if (tid < 1) {
out0[0] = sum0_0;
}
}


var<private> unknown_zero: u32 = 0u;
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | unknown_zero); }
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn max_(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, nan_(b)), a, nan_(a)); }
fn neg_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }
fn widen_bf16(h: u32) -> f32 { return bitcast<f32>(h << 16u); }
fn narrow_bf16(x: f32) -> u32 { let u = bitcast<u32>(x); return select((u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u, (u >> 16u) | 0x40u, (u & 0x7fffffffu) > 0x7f800000u); }
fn round_bf16(x: f32) -> f32 { return widen_bf16(narrow_bf16(x)); }
fn scale_(x: f32, n: i32) -> f32 { let h = n >> 1u; let g = n - h; return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(g + 127) << 23u); }
fn exp_far(x: f32) -> f32 { if (nan_(x)) { return x; } if (x > 88.8f) { return infinity(); } if (x < -104.0f) { return 0.0f; } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return scale_(fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f, i32(n)); }
fn exp_(x: f32) -> f32 { if ((bitcast<u32>(x) & 0x7fffffffu) > 0x42ae0000u) { return exp_far(x); } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return (fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f) * bitcast<f32>((i32(n) << 23u) + 0x3f800000); }
@group(0) @binding(0) var<storage, read> in0: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out0: array<vec4<u32>>;
var<workgroup> part_f32: array<f32, 64>;
fn combine_max_f32_64(x: f32, tid: i32) -> f32 {
workgroupBarrier();
part_f32[tid] = x;
workgroupBarrier();
let at = tid % 64;
for (var o = 32; o > 0; o /= 2) {
if (at < o && at + o < 64) { let a = part_f32[tid]; let b = part_f32[tid + o]; part_f32[tid] = max_(a, b); }
workgroupBarrier();
}
return part_f32[tid - at];
}
fn combine_add_f32_64(x: f32, tid: i32) -> f32 {
workgroupBarrier();
part_f32[tid] = x;
workgroupBarrier();
let at = tid % 64;
for (var o = 32; o > 0; o /= 2) {
if (at < o && at + o < 64) { let a = part_f32[tid]; let b = part_f32[tid + o]; part_f32[tid] = a + b; }
workgroupBarrier();
}
return part_f32[tid - at];
}
@compute @workgroup_size(64) fn amax_sum_cast_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 6) { return; }
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
var kept0_0: f32;
var kept0_1: f32;
var kept0_2: f32;
var kept0_3: f32;
var kept0_4: f32;
var kept0_5: f32;
var kept0_6: f32;
var kept0_7: f32;
var kept0_8: f32;
var kept0_9: f32;
var kept0_10: f32;
var kept0_11: f32;
var kept0_12: f32;
var kept0_13: f32;
var kept0_14: f32;
var kept0_15: f32;
var kept0_16: f32;
var kept0_17: f32;
var kept0_18: f32;
var kept0_19: f32;
var kept0_20: f32;
var kept0_21: f32;
var kept0_22: f32;
var kept0_23: f32;
var kept0_24: f32;
var kept0_25: f32;
var kept0_26: f32;
var kept0_27: f32;
var kept0_28: f32;
var kept0_29: f32;
var kept0_30: f32;
var kept0_31: f32;
var sum0_0: f32;
var acc1_0: f32;
var acc1_1: f32;
var acc1_2: f32;
var acc1_3: f32;
var acc1_4: f32;
var acc1_5: f32;
var acc1_6: f32;
var acc1_7: f32;
var acc1_8: f32;
var acc1_9: f32;
var acc1_10: f32;
var acc1_11: f32;
var acc1_12: f32;
var acc1_13: f32;
var acc1_14: f32;
var acc1_15: f32;
var acc1_16: f32;
var acc1_17: f32;
var acc1_18: f32;
var acc1_19: f32;
var acc1_20: f32;
var acc1_21: f32;
var acc1_22: f32;
var acc1_23: f32;
var acc1_24: f32;
var acc1_25: f32;
var acc1_26: f32;
var acc1_27: f32;
var acc1_28: f32;
var acc1_29: f32;
var acc1_30: f32;
var acc1_31: f32;
var kept1_0: f32;
var kept1_1: f32;
var kept1_2: f32;
var kept1_3: f32;
var kept1_4: f32;
var kept1_5: f32;
var kept1_6: f32;
var kept1_7: f32;
var kept1_8: f32;
var kept1_9: f32;
var kept1_10: f32;
var kept1_11: f32;
var kept1_12: f32;
var kept1_13: f32;
var kept1_14: f32;
var kept1_15: f32;
var kept1_16: f32;
var kept1_17: f32;
var kept1_18: f32;
var kept1_19: f32;
var kept1_20: f32;
var kept1_21: f32;
var kept1_22: f32;
var kept1_23: f32;
var kept1_24: f32;
var kept1_25: f32;
var kept1_26: f32;
var kept1_27: f32;
var kept1_28: f32;
var kept1_29: f32;
var kept1_30: f32;
var kept1_31: f32;
var sum1_0: f32;
acc0_0 = neg_(infinity());
acc0_1 = neg_(infinity());
acc0_2 = neg_(infinity());
acc0_3 = neg_(infinity());
acc0_4 = neg_(infinity());
acc0_5 = neg_(infinity());
acc0_6 = neg_(infinity());
acc0_7 = neg_(infinity());
acc0_8 = neg_(infinity());
acc0_9 = neg_(infinity());
acc0_10 = neg_(infinity());
acc0_11 = neg_(infinity());
acc0_12 = neg_(infinity());
acc0_13 = neg_(infinity());
acc0_14 = neg_(infinity());
acc0_15 = neg_(infinity());
acc0_16 = neg_(infinity());
acc0_17 = neg_(infinity());
acc0_18 = neg_(infinity());
acc0_19 = neg_(infinity());
acc0_20 = neg_(infinity());
acc0_21 = neg_(infinity());
acc0_22 = neg_(infinity());
acc0_23 = neg_(infinity());
acc0_24 = neg_(infinity());
acc0_25 = neg_(infinity());
acc0_26 = neg_(infinity());
acc0_27 = neg_(infinity());
acc0_28 = neg_(infinity());
acc0_29 = neg_(infinity());
acc0_30 = neg_(infinity());
acc0_31 = neg_(infinity());
{
{
let t_0_v0 = in0[(((2048 * pid + 8 * tid)) >> 3u)]; let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
let v0_0: f32 = widen_bf16(t_0_0 & 65535u);
let v0_1: f32 = widen_bf16((t_0_0 >> 16u) & 65535u);
let v0_2: f32 = widen_bf16(t_0_1 & 65535u);
let v0_3: f32 = widen_bf16((t_0_1 >> 16u) & 65535u);
let v0_4: f32 = widen_bf16(t_0_2 & 65535u);
let v0_5: f32 = widen_bf16((t_0_2 >> 16u) & 65535u);
let v0_6: f32 = widen_bf16(t_0_3 & 65535u);
let v0_7: f32 = widen_bf16((t_0_3 >> 16u) & 65535u);
kept0_0 = v0_0;
kept0_1 = v0_1;
kept0_2 = v0_2;
kept0_3 = v0_3;
kept0_4 = v0_4;
kept0_5 = v0_5;
kept0_6 = v0_6;
kept0_7 = v0_7;
acc0_0 = max_(acc0_0, v0_0);
acc0_1 = max_(acc0_1, v0_1);
acc0_2 = max_(acc0_2, v0_2);
acc0_3 = max_(acc0_3, v0_3);
acc0_4 = max_(acc0_4, v0_4);
acc0_5 = max_(acc0_5, v0_5);
acc0_6 = max_(acc0_6, v0_6);
acc0_7 = max_(acc0_7, v0_7);
}
}
{
{
let t_1_v0 = in0[(((2048 * pid + 8 * tid + 512)) >> 3u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
let v0_0: f32 = widen_bf16(t_1_0 & 65535u);
let v0_1: f32 = widen_bf16((t_1_0 >> 16u) & 65535u);
let v0_2: f32 = widen_bf16(t_1_1 & 65535u);
let v0_3: f32 = widen_bf16((t_1_1 >> 16u) & 65535u);
let v0_4: f32 = widen_bf16(t_1_2 & 65535u);
let v0_5: f32 = widen_bf16((t_1_2 >> 16u) & 65535u);
let v0_6: f32 = widen_bf16(t_1_3 & 65535u);
let v0_7: f32 = widen_bf16((t_1_3 >> 16u) & 65535u);
kept0_8 = v0_0;
kept0_9 = v0_1;
kept0_10 = v0_2;
kept0_11 = v0_3;
kept0_12 = v0_4;
kept0_13 = v0_5;
kept0_14 = v0_6;
kept0_15 = v0_7;
acc0_8 = max_(acc0_8, v0_0);
acc0_9 = max_(acc0_9, v0_1);
acc0_10 = max_(acc0_10, v0_2);
acc0_11 = max_(acc0_11, v0_3);
acc0_12 = max_(acc0_12, v0_4);
acc0_13 = max_(acc0_13, v0_5);
acc0_14 = max_(acc0_14, v0_6);
acc0_15 = max_(acc0_15, v0_7);
}
}
{
{
let t_2_v0 = in0[(((2048 * pid + 8 * tid + 1024)) >> 3u)]; let t_2_0 = t_2_v0.x; let t_2_1 = t_2_v0.y; let t_2_2 = t_2_v0.z; let t_2_3 = t_2_v0.w;
let v0_0: f32 = widen_bf16(t_2_0 & 65535u);
let v0_1: f32 = widen_bf16((t_2_0 >> 16u) & 65535u);
let v0_2: f32 = widen_bf16(t_2_1 & 65535u);
let v0_3: f32 = widen_bf16((t_2_1 >> 16u) & 65535u);
let v0_4: f32 = widen_bf16(t_2_2 & 65535u);
let v0_5: f32 = widen_bf16((t_2_2 >> 16u) & 65535u);
let v0_6: f32 = widen_bf16(t_2_3 & 65535u);
let v0_7: f32 = widen_bf16((t_2_3 >> 16u) & 65535u);
kept0_16 = v0_0;
kept0_17 = v0_1;
kept0_18 = v0_2;
kept0_19 = v0_3;
kept0_20 = v0_4;
kept0_21 = v0_5;
kept0_22 = v0_6;
kept0_23 = v0_7;
acc0_16 = max_(acc0_16, v0_0);
acc0_17 = max_(acc0_17, v0_1);
acc0_18 = max_(acc0_18, v0_2);
acc0_19 = max_(acc0_19, v0_3);
acc0_20 = max_(acc0_20, v0_4);
acc0_21 = max_(acc0_21, v0_5);
acc0_22 = max_(acc0_22, v0_6);
acc0_23 = max_(acc0_23, v0_7);
}
}
{
{
let t_3_v0 = in0[(((2048 * pid + 8 * tid + 1536)) >> 3u)]; let t_3_0 = t_3_v0.x; let t_3_1 = t_3_v0.y; let t_3_2 = t_3_v0.z; let t_3_3 = t_3_v0.w;
let v0_0: f32 = widen_bf16(t_3_0 & 65535u);
let v0_1: f32 = widen_bf16((t_3_0 >> 16u) & 65535u);
let v0_2: f32 = widen_bf16(t_3_1 & 65535u);
let v0_3: f32 = widen_bf16((t_3_1 >> 16u) & 65535u);
let v0_4: f32 = widen_bf16(t_3_2 & 65535u);
let v0_5: f32 = widen_bf16((t_3_2 >> 16u) & 65535u);
let v0_6: f32 = widen_bf16(t_3_3 & 65535u);
let v0_7: f32 = widen_bf16((t_3_3 >> 16u) & 65535u);
kept0_24 = v0_0;
kept0_25 = v0_1;
kept0_26 = v0_2;
kept0_27 = v0_3;
kept0_28 = v0_4;
kept0_29 = v0_5;
kept0_30 = v0_6;
kept0_31 = v0_7;
acc0_24 = max_(acc0_24, v0_0);
acc0_25 = max_(acc0_25, v0_1);
acc0_26 = max_(acc0_26, v0_2);
acc0_27 = max_(acc0_27, v0_3);
acc0_28 = max_(acc0_28, v0_4);
acc0_29 = max_(acc0_29, v0_5);
acc0_30 = max_(acc0_30, v0_6);
acc0_31 = max_(acc0_31, v0_7);
}
}
sum0_0 = combine_max_f32_64(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(max_(acc0_0, acc0_1), acc0_2), acc0_3), acc0_4), acc0_5), acc0_6), acc0_7), acc0_8), acc0_9), acc0_10), acc0_11), acc0_12), acc0_13), acc0_14), acc0_15), acc0_16), acc0_17), acc0_18), acc0_19), acc0_20), acc0_21), acc0_22), acc0_23), acc0_24), acc0_25), acc0_26), acc0_27), acc0_28), acc0_29), acc0_30), acc0_31), tid);
acc1_0 = 0.0f;
acc1_1 = 0.0f;
acc1_2 = 0.0f;
acc1_3 = 0.0f;
acc1_4 = 0.0f;
acc1_5 = 0.0f;
acc1_6 = 0.0f;
acc1_7 = 0.0f;
acc1_8 = 0.0f;
acc1_9 = 0.0f;
acc1_10 = 0.0f;
acc1_11 = 0.0f;
acc1_12 = 0.0f;
acc1_13 = 0.0f;
acc1_14 = 0.0f;
acc1_15 = 0.0f;
acc1_16 = 0.0f;
acc1_17 = 0.0f;
acc1_18 = 0.0f;
acc1_19 = 0.0f;
acc1_20 = 0.0f;
acc1_21 = 0.0f;
acc1_22 = 0.0f;
acc1_23 = 0.0f;
acc1_24 = 0.0f;
acc1_25 = 0.0f;
acc1_26 = 0.0f;
acc1_27 = 0.0f;
acc1_28 = 0.0f;
acc1_29 = 0.0f;
acc1_30 = 0.0f;
acc1_31 = 0.0f;
{
{
let v1_0: f32 = exp_((kept0_0 - sum0_0));
let v1_1: f32 = exp_((kept0_1 - sum0_0));
let v1_2: f32 = exp_((kept0_2 - sum0_0));
let v1_3: f32 = exp_((kept0_3 - sum0_0));
let v1_4: f32 = exp_((kept0_4 - sum0_0));
let v1_5: f32 = exp_((kept0_5 - sum0_0));
let v1_6: f32 = exp_((kept0_6 - sum0_0));
let v1_7: f32 = exp_((kept0_7 - sum0_0));
kept1_0 = v1_0;
kept1_1 = v1_1;
kept1_2 = v1_2;
kept1_3 = v1_3;
kept1_4 = v1_4;
kept1_5 = v1_5;
kept1_6 = v1_6;
kept1_7 = v1_7;
acc1_0 = (acc1_0 + v1_0);
acc1_1 = (acc1_1 + v1_1);
acc1_2 = (acc1_2 + v1_2);
acc1_3 = (acc1_3 + v1_3);
acc1_4 = (acc1_4 + v1_4);
acc1_5 = (acc1_5 + v1_5);
acc1_6 = (acc1_6 + v1_6);
acc1_7 = (acc1_7 + v1_7);
}
}
{
{
let v1_0: f32 = exp_((kept0_8 - sum0_0));
let v1_1: f32 = exp_((kept0_9 - sum0_0));
let v1_2: f32 = exp_((kept0_10 - sum0_0));
let v1_3: f32 = exp_((kept0_11 - sum0_0));
let v1_4: f32 = exp_((kept0_12 - sum0_0));
let v1_5: f32 = exp_((kept0_13 - sum0_0));
let v1_6: f32 = exp_((kept0_14 - sum0_0));
let v1_7: f32 = exp_((kept0_15 - sum0_0));
kept1_8 = v1_0;
kept1_9 = v1_1;
kept1_10 = v1_2;
kept1_11 = v1_3;
kept1_12 = v1_4;
kept1_13 = v1_5;
kept1_14 = v1_6;
kept1_15 = v1_7;
acc1_8 = (acc1_8 + v1_0);
acc1_9 = (acc1_9 + v1_1);
acc1_10 = (acc1_10 + v1_2);
acc1_11 = (acc1_11 + v1_3);
acc1_12 = (acc1_12 + v1_4);
acc1_13 = (acc1_13 + v1_5);
acc1_14 = (acc1_14 + v1_6);
acc1_15 = (acc1_15 + v1_7);
}
}
{
{
let v1_0: f32 = exp_((kept0_16 - sum0_0));
let v1_1: f32 = exp_((kept0_17 - sum0_0));
let v1_2: f32 = exp_((kept0_18 - sum0_0));
let v1_3: f32 = exp_((kept0_19 - sum0_0));
let v1_4: f32 = exp_((kept0_20 - sum0_0));
let v1_5: f32 = exp_((kept0_21 - sum0_0));
let v1_6: f32 = exp_((kept0_22 - sum0_0));
let v1_7: f32 = exp_((kept0_23 - sum0_0));
kept1_16 = v1_0;
kept1_17 = v1_1;
kept1_18 = v1_2;
kept1_19 = v1_3;
kept1_20 = v1_4;
kept1_21 = v1_5;
kept1_22 = v1_6;
kept1_23 = v1_7;
acc1_16 = (acc1_16 + v1_0);
acc1_17 = (acc1_17 + v1_1);
acc1_18 = (acc1_18 + v1_2);
acc1_19 = (acc1_19 + v1_3);
acc1_20 = (acc1_20 + v1_4);
acc1_21 = (acc1_21 + v1_5);
acc1_22 = (acc1_22 + v1_6);
acc1_23 = (acc1_23 + v1_7);
}
}
{
{
let v1_0: f32 = exp_((kept0_24 - sum0_0));
let v1_1: f32 = exp_((kept0_25 - sum0_0));
let v1_2: f32 = exp_((kept0_26 - sum0_0));
let v1_3: f32 = exp_((kept0_27 - sum0_0));
let v1_4: f32 = exp_((kept0_28 - sum0_0));
let v1_5: f32 = exp_((kept0_29 - sum0_0));
let v1_6: f32 = exp_((kept0_30 - sum0_0));
let v1_7: f32 = exp_((kept0_31 - sum0_0));
kept1_24 = v1_0;
kept1_25 = v1_1;
kept1_26 = v1_2;
kept1_27 = v1_3;
kept1_28 = v1_4;
kept1_29 = v1_5;
kept1_30 = v1_6;
kept1_31 = v1_7;
acc1_24 = (acc1_24 + v1_0);
acc1_25 = (acc1_25 + v1_1);
acc1_26 = (acc1_26 + v1_2);
acc1_27 = (acc1_27 + v1_3);
acc1_28 = (acc1_28 + v1_4);
acc1_29 = (acc1_29 + v1_5);
acc1_30 = (acc1_30 + v1_6);
acc1_31 = (acc1_31 + v1_7);
}
}
sum1_0 = combine_add_f32_64((((((((((((((((((((((((((((((((acc1_0 + acc1_1) + acc1_2) + acc1_3) + acc1_4) + acc1_5) + acc1_6) + acc1_7) + acc1_8) + acc1_9) + acc1_10) + acc1_11) + acc1_12) + acc1_13) + acc1_14) + acc1_15) + acc1_16) + acc1_17) + acc1_18) + acc1_19) + acc1_20) + acc1_21) + acc1_22) + acc1_23) + acc1_24) + acc1_25) + acc1_26) + acc1_27) + acc1_28) + acc1_29) + acc1_30) + acc1_31), tid);
out0[(((2048 * pid + 8 * tid)) >> 3u)] = vec4<u32>(narrow_bf16(round_bf16((kept1_0 / sum1_0))) | (narrow_bf16(round_bf16((kept1_1 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_2 / sum1_0))) | (narrow_bf16(round_bf16((kept1_3 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_4 / sum1_0))) | (narrow_bf16(round_bf16((kept1_5 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_6 / sum1_0))) | (narrow_bf16(round_bf16((kept1_7 / sum1_0))) << 16u));
out0[(((2048 * pid + 8 * tid + 512)) >> 3u)] = vec4<u32>(narrow_bf16(round_bf16((kept1_8 / sum1_0))) | (narrow_bf16(round_bf16((kept1_9 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_10 / sum1_0))) | (narrow_bf16(round_bf16((kept1_11 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_12 / sum1_0))) | (narrow_bf16(round_bf16((kept1_13 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_14 / sum1_0))) | (narrow_bf16(round_bf16((kept1_15 / sum1_0))) << 16u));
out0[(((2048 * pid + 8 * tid + 1024)) >> 3u)] = vec4<u32>(narrow_bf16(round_bf16((kept1_16 / sum1_0))) | (narrow_bf16(round_bf16((kept1_17 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_18 / sum1_0))) | (narrow_bf16(round_bf16((kept1_19 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_20 / sum1_0))) | (narrow_bf16(round_bf16((kept1_21 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_22 / sum1_0))) | (narrow_bf16(round_bf16((kept1_23 / sum1_0))) << 16u));
out0[(((2048 * pid + 8 * tid + 1536)) >> 3u)] = vec4<u32>(narrow_bf16(round_bf16((kept1_24 / sum1_0))) | (narrow_bf16(round_bf16((kept1_25 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_26 / sum1_0))) | (narrow_bf16(round_bf16((kept1_27 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_28 / sum1_0))) | (narrow_bf16(round_bf16((kept1_29 / sum1_0))) << 16u), narrow_bf16(round_bf16((kept1_30 / sum1_0))) | (narrow_bf16(round_bf16((kept1_31 / sum1_0))) << 16u));
}

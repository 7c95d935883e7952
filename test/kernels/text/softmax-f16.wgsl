
enable f16;
var<private> unknown_zero: u32 = 0u;
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | unknown_zero); }
fn from_bits(x: u32) -> f32 { return bitcast<f32>(x | unknown_zero); }
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn max_(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, nan_(b)), a, nan_(a)); }
fn neg_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }
fn widen_f16(h: u32) -> f32 { let s = (h & 0x8000u) << 16u; let e = (h >> 10u) & 31u; let m = h & 1023u;
  if (e == 0u) { return bitcast<f32>(bitcast<u32>(f32(m) * 5.9604644775390625e-8f) | s); }
  return from_bits(s | (select(e + 112u, 255u, e == 31u) << 23u) | (m << 13u)); }
fn narrow_f16(x: f32) -> u32 { let u = bitcast<u32>(x); let s = (u >> 16u) & 0x8000u; let m = u & 0x7fffffffu;
  if (m > 0x7f800000u) { return s | 0x7e00u | ((m >> 13u) & 0x1ffu); }
  if (m >= 0x477ff000u) { return s | 0x7c00u; }
  if (m >= 0x38800000u) { return s | ((m + 0xfffu + ((m >> 13u) & 1u) - 0x38000000u) >> 13u); }
  return s | (bitcast<u32>(bitcast<f32>(m) + 0.5f) - 0x3f000000u); }
fn round_f16(x: f32) -> f32 { return widen_f16(narrow_f16(x)); }
fn scale_(x: f32, n: i32) -> f32 { let h = n >> 1u; let g = n - h; return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(g + 127) << 23u); }
fn exp_far(x: f32) -> f32 { if (nan_(x)) { return x; } if (x > 88.8f) { return infinity(); } if (x < -104.0f) { return 0.0f; } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return scale_(fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f, i32(n)); }
fn exp_(x: f32) -> f32 { if ((bitcast<u32>(x) & 0x7fffffffu) > 0x42ae0000u) { return exp_far(x); } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return (fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f) * bitcast<f32>((i32(n) << 23u) + 0x3f800000); }
fn half_of(x: f32) -> f16 { return f16(x); }
@group(0) @binding(0) var<storage, read> in0: array<f16>;
@group(0) @binding(1) var<storage, read_write> out0: array<f16>;
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
if (pid >= 5) { return; }
var acc0_0: f32;
var kept0_0: f32;
var kept0_1: f32;
var kept0_2: f32;
var kept0_3: f32;
var kept0_4: f32;
var sum0_0: f32;
var acc1_0: f32;
var kept1_0: f32;
var kept1_1: f32;
var kept1_2: f32;
var kept1_3: f32;
var kept1_4: f32;
var sum1_0: f32;
acc0_0 = neg_(infinity());
{
let v0: f32 = f32(in0[(301 * pid + tid)]);
kept0_0 = v0;
acc0_0 = max_(acc0_0, v0);
}
{
let v0: f32 = f32(in0[(301 * pid + tid + 64)]);
kept0_1 = v0;
acc0_0 = max_(acc0_0, v0);
}
{
let v0: f32 = f32(in0[(301 * pid + tid + 128)]);
kept0_2 = v0;
acc0_0 = max_(acc0_0, v0);
}
{
let v0: f32 = f32(in0[(301 * pid + tid + 192)]);
kept0_3 = v0;
acc0_0 = max_(acc0_0, v0);
}
if ((tid + 256) < 301) {
let v0: f32 = f32(in0[(301 * pid + tid + 256)]);
kept0_4 = v0;
acc0_0 = max_(acc0_0, v0);
}
sum0_0 = combine_max_f32_64(acc0_0, tid);
acc1_0 = 0.0f;
{
let v1: f32 = exp_((kept0_0 - sum0_0));
kept1_0 = v1;
acc1_0 = (acc1_0 + v1);
}
{
let v1: f32 = exp_((kept0_1 - sum0_0));
kept1_1 = v1;
acc1_0 = (acc1_0 + v1);
}
{
let v1: f32 = exp_((kept0_2 - sum0_0));
kept1_2 = v1;
acc1_0 = (acc1_0 + v1);
}
{
let v1: f32 = exp_((kept0_3 - sum0_0));
kept1_3 = v1;
acc1_0 = (acc1_0 + v1);
}
if ((tid + 256) < 301) {
let v1: f32 = exp_((kept0_4 - sum0_0));
kept1_4 = v1;
acc1_0 = (acc1_0 + v1);
}
sum1_0 = combine_add_f32_64(acc1_0, tid);
let v2: f32 = (1.0f / sum1_0);
out0[(301 * pid + tid)] = half_of(round_f16((kept1_0 * v2)));
out0[(301 * pid + tid + 64)] = half_of(round_f16((kept1_1 * v2)));
out0[(301 * pid + tid + 128)] = half_of(round_f16((kept1_2 * v2)));
out0[(301 * pid + tid + 192)] = half_of(round_f16((kept1_3 * v2)));
if ((tid + 256) < 301) {
out0[(301 * pid + tid + 256)] = half_of(round_f16((kept1_4 * v2)));
}
}

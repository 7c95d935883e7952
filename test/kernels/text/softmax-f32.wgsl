
var<private> unknown_zero: u32 = 0u;
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | unknown_zero); }
fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn max_(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, nan_(b)), a, nan_(a)); }
fn neg_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }
fn scale_(x: f32, n: i32) -> f32 { let h = n >> 1u; let g = n - h; return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(g + 127) << 23u); }
fn exp_far(x: f32) -> f32 { if (nan_(x)) { return x; } if (x > 88.8f) { return infinity(); } if (x < -104.0f) { return 0.0f; } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return scale_(fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f, i32(n)); }
fn exp_(x: f32) -> f32 { if ((bitcast<u32>(x) & 0x7fffffffu) > 0x42ae0000u) { return exp_far(x); } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return (fma(fma(fma(fma(fma(0.00138144672f, r, 0.00836878084f), r, 0.0416683927f), r, 0.166665196f), r, 0.49999994f), r * r, r) + 1.0f) * bitcast<f32>((i32(n) << 23u) + 0x3f800000); }
@group(0) @binding(0) var<storage, read> in0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out0: array<f32>;
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
@compute @workgroup_size(64) fn amax_sum_div_0z(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let pid = i32(group.x + group.y * groups.x);
let tid = i32(local);
if (pid >= 37) { return; }
var acc0_0: f32;
var acc0_1: f32;
var acc0_2: f32;
var acc0_3: f32;
var acc0_4: f32;
var acc0_5: f32;
var acc0_6: f32;
var acc0_7: f32;
var kept0_0: f32;
var kept0_1: f32;
var kept0_2: f32;
var kept0_3: f32;
var kept0_4: f32;
var kept0_5: f32;
var kept0_6: f32;
var kept0_7: f32;
var sum0_0: f32;
var acc1_0: f32;
var acc1_1: f32;
var acc1_2: f32;
var acc1_3: f32;
var acc1_4: f32;
var acc1_5: f32;
var acc1_6: f32;
var acc1_7: f32;
var kept1_0: f32;
var kept1_1: f32;
var kept1_2: f32;
var kept1_3: f32;
var kept1_4: f32;
var kept1_5: f32;
var kept1_6: f32;
var kept1_7: f32;
var sum1_0: f32;
acc0_0 = neg_(infinity());
acc0_1 = neg_(infinity());
acc0_2 = neg_(infinity());
acc0_3 = neg_(infinity());
acc0_4 = neg_(infinity());
acc0_5 = neg_(infinity());
acc0_6 = neg_(infinity());
acc0_7 = neg_(infinity());
{
let t_0_v0 = in0[(((300 * pid + 4 * tid)) >> 2u)]; let t_0_0 = t_0_v0.x; let t_0_1 = t_0_v0.y; let t_0_2 = t_0_v0.z; let t_0_3 = t_0_v0.w;
let v0_0: f32 = t_0_0;
let v0_1: f32 = t_0_1;
let v0_2: f32 = t_0_2;
let v0_3: f32 = t_0_3;
kept0_0 = v0_0;
kept0_1 = v0_1;
kept0_2 = v0_2;
kept0_3 = v0_3;
acc0_0 = max_(acc0_0, v0_0);
acc0_1 = max_(acc0_1, v0_1);
acc0_2 = max_(acc0_2, v0_2);
acc0_3 = max_(acc0_3, v0_3);
}
if ((4 * tid + 259) < 300) {
let t_1_v0 = in0[(((300 * pid + 4 * tid + 256)) >> 2u)]; let t_1_0 = t_1_v0.x; let t_1_1 = t_1_v0.y; let t_1_2 = t_1_v0.z; let t_1_3 = t_1_v0.w;
let v0_0: f32 = t_1_0;
let v0_1: f32 = t_1_1;
let v0_2: f32 = t_1_2;
let v0_3: f32 = t_1_3;
kept0_4 = v0_0;
kept0_5 = v0_1;
kept0_6 = v0_2;
kept0_7 = v0_3;
acc0_4 = max_(acc0_4, v0_0);
acc0_5 = max_(acc0_5, v0_1);
acc0_6 = max_(acc0_6, v0_2);
acc0_7 = max_(acc0_7, v0_3);
} else {
{
if ((4 * tid + 256) < 300) {
let v0: f32 = in0[(((300 * pid + 4 * tid + 256)) >> 2u)][(((300 * pid + 4 * tid + 256)) & 3)];
kept0_4 = v0;
acc0_4 = max_(acc0_4, v0);
}
}
{
if ((4 * tid + 257) < 300) {
let v0: f32 = in0[(((300 * pid + 4 * tid + 257)) >> 2u)][(((300 * pid + 4 * tid + 257)) & 3)];
kept0_5 = v0;
acc0_5 = max_(acc0_5, v0);
}
}
{
if ((4 * tid + 258) < 300) {
let v0: f32 = in0[(((300 * pid + 4 * tid + 258)) >> 2u)][(((300 * pid + 4 * tid + 258)) & 3)];
kept0_6 = v0;
acc0_6 = max_(acc0_6, v0);
}
}
{
if ((4 * tid + 259) < 300) {
let v0: f32 = in0[(((300 * pid + 4 * tid + 259)) >> 2u)][(((300 * pid + 4 * tid + 259)) & 3)];
kept0_7 = v0;
acc0_7 = max_(acc0_7, v0);
}
}
}
sum0_0 = combine_max_f32_64(max_(max_(max_(max_(max_(max_(max_(acc0_0, acc0_1), acc0_2), acc0_3), acc0_4), acc0_5), acc0_6), acc0_7), tid);
acc1_0 = 0.0f;
acc1_1 = 0.0f;
acc1_2 = 0.0f;
acc1_3 = 0.0f;
acc1_4 = 0.0f;
acc1_5 = 0.0f;
acc1_6 = 0.0f;
acc1_7 = 0.0f;
{
let v1_0: f32 = exp_((kept0_0 - sum0_0));
let v1_1: f32 = exp_((kept0_1 - sum0_0));
let v1_2: f32 = exp_((kept0_2 - sum0_0));
let v1_3: f32 = exp_((kept0_3 - sum0_0));
kept1_0 = v1_0;
kept1_1 = v1_1;
kept1_2 = v1_2;
kept1_3 = v1_3;
acc1_0 = (acc1_0 + v1_0);
acc1_1 = (acc1_1 + v1_1);
acc1_2 = (acc1_2 + v1_2);
acc1_3 = (acc1_3 + v1_3);
}
if ((4 * tid + 259) < 300) {
let v1_0: f32 = exp_((kept0_4 - sum0_0));
let v1_1: f32 = exp_((kept0_5 - sum0_0));
let v1_2: f32 = exp_((kept0_6 - sum0_0));
let v1_3: f32 = exp_((kept0_7 - sum0_0));
kept1_4 = v1_0;
kept1_5 = v1_1;
kept1_6 = v1_2;
kept1_7 = v1_3;
acc1_4 = (acc1_4 + v1_0);
acc1_5 = (acc1_5 + v1_1);
acc1_6 = (acc1_6 + v1_2);
acc1_7 = (acc1_7 + v1_3);
} else {
{
if ((4 * tid + 256) < 300) {
let v1: f32 = exp_((kept0_4 - sum0_0));
kept1_4 = v1;
acc1_4 = (acc1_4 + v1);
}
}
{
if ((4 * tid + 257) < 300) {
let v1: f32 = exp_((kept0_5 - sum0_0));
kept1_5 = v1;
acc1_5 = (acc1_5 + v1);
}
}
{
if ((4 * tid + 258) < 300) {
let v1: f32 = exp_((kept0_6 - sum0_0));
kept1_6 = v1;
acc1_6 = (acc1_6 + v1);
}
}
{
if ((4 * tid + 259) < 300) {
let v1: f32 = exp_((kept0_7 - sum0_0));
kept1_7 = v1;
acc1_7 = (acc1_7 + v1);
}
}
}
sum1_0 = combine_add_f32_64((((((((acc1_0 + acc1_1) + acc1_2) + acc1_3) + acc1_4) + acc1_5) + acc1_6) + acc1_7), tid);
out0[(300 * pid + 4 * tid)] = (kept1_0 / sum1_0); out0[(300 * pid + 4 * tid) + 1] = (kept1_1 / sum1_0); out0[(300 * pid + 4 * tid) + 2] = (kept1_2 / sum1_0); out0[(300 * pid + 4 * tid) + 3] = (kept1_3 / sum1_0);
if ((4 * tid + 259) < 300) {
out0[(300 * pid + 4 * tid + 256)] = (kept1_4 / sum1_0); out0[(300 * pid + 4 * tid + 256) + 1] = (kept1_5 / sum1_0); out0[(300 * pid + 4 * tid + 256) + 2] = (kept1_6 / sum1_0); out0[(300 * pid + 4 * tid + 256) + 3] = (kept1_7 / sum1_0);
} else {
{
if ((4 * tid + 256) < 300) {
out0[(300 * pid + 4 * tid + 256)] = (kept1_4 / sum1_0);
}
}
{
if ((4 * tid + 257) < 300) {
out0[(300 * pid + 4 * tid + 257)] = (kept1_5 / sum1_0);
}
}
{
if ((4 * tid + 258) < 300) {
out0[(300 * pid + 4 * tid + 258)] = (kept1_6 / sum1_0);
}
}
{
if ((4 * tid + 259) < 300) {
out0[(300 * pid + 4 * tid + 259)] = (kept1_7 / sum1_0);
}
}
}
}

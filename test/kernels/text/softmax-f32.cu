#define inline_ __device__ __forceinline__
typedef unsigned u32;
#define infinity __int_as_float(0x7f800000)
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
template<class T> inline_ T max_(T a, T b) { return a > b || a != a ? a : b; }
#if __CUDA_ARCH__ >= 800
template<> inline_ float max_<float>(float a, float b) { float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
#endif
struct op_add { template<class T> inline_ T operator()(T a, T b) const { return a + b; } };
struct op_max { template<class T> inline_ T operator()(T a, T b) const { return max_(a, b); } };
template<class T> inline_ T shuffle_(u32 all, T x, int by) { return __shfl_xor_sync(all, x, by); }
template<class Op, int N, int All, class T> inline_ T warp_combine(T x) { for (int o = N / 2; o; o >>= 1) x = Op()(x, shuffle_(All < 32 ? (1u << (All & 31)) - 1 : ~0u, x, o)); return x; }
template<class Op, int N, int All, class T> inline_ T block_combine(T x) { __shared__ T part[All / 32]; const int t = threadIdx.x; x = warp_combine<Op, 32, All>(x); __syncthreads(); if (t % 32 == 0) part[t / 32] = x; __syncthreads(); const int first = t / N * (N / 32); if ((N / 32 & (N / 32 - 1)) == 0) return warp_combine<Op, N / 32, 32>(part[first + t % (N / 32)]); T r = part[first]; for (int i = 1; i < N / 32; i++) r = Op()(r, part[first + i]); return r; }
extern "C" __global__ void __launch_bounds__(96) amax_sum_div_0z(const float* __restrict__ in0, float* __restrict__ out0) {
typedef int ix;
const ix pid = blockIdx.x;
const int tid = threadIdx.x;
float acc0_0;
float acc0_1;
float acc0_2;
float acc0_3;
float kept0_0;
float kept0_1;
float kept0_2;
float kept0_3;
float sum0_0;
float acc1_0;
float acc1_1;
float acc1_2;
float acc1_3;
float kept1_0;
float kept1_1;
float kept1_2;
float kept1_3;
float sum1_0;
acc0_0 = (-infinity);
acc0_1 = (-infinity);
acc0_2 = (-infinity);
acc0_3 = (-infinity);
if ((4 * tid + 3) < 300) {
const vec<float, 4> t_0 = *(const vec<float, 4>*)(in0 + (300 * pid + 4 * tid));
const float v0_0 = t_0.v[0];
const float v0_1 = t_0.v[1];
const float v0_2 = t_0.v[2];
const float v0_3 = t_0.v[3];
kept0_0 = v0_0;
kept0_1 = v0_1;
kept0_2 = v0_2;
kept0_3 = v0_3;
acc0_0 = max_<float>(acc0_0, v0_0);
acc0_1 = max_<float>(acc0_1, v0_1);
acc0_2 = max_<float>(acc0_2, v0_2);
acc0_3 = max_<float>(acc0_3, v0_3);
} else {
{
if (4 * tid < 300) {
const float v0 = in0[(300 * pid + 4 * tid)];
kept0_0 = v0;
acc0_0 = max_<float>(acc0_0, v0);
}
}
{
if ((4 * tid + 1) < 300) {
const float v0 = in0[(300 * pid + 4 * tid + 1)];
kept0_1 = v0;
acc0_1 = max_<float>(acc0_1, v0);
}
}
{
if ((4 * tid + 2) < 300) {
const float v0 = in0[(300 * pid + 4 * tid + 2)];
kept0_2 = v0;
acc0_2 = max_<float>(acc0_2, v0);
}
}
{
if ((4 * tid + 3) < 300) {
const float v0 = in0[(300 * pid + 4 * tid + 3)];
kept0_3 = v0;
acc0_3 = max_<float>(acc0_3, v0);
}
}
}
sum0_0 = block_combine<op_max, 96, 96>(max_<float>(max_<float>(max_<float>(acc0_0, acc0_1), acc0_2), acc0_3));
acc1_0 = 0.0f;
acc1_1 = 0.0f;
acc1_2 = 0.0f;
acc1_3 = 0.0f;
if ((4 * tid + 3) < 300) {
const float v1_0 = expf((kept0_0 - sum0_0));
const float v1_1 = expf((kept0_1 - sum0_0));
const float v1_2 = expf((kept0_2 - sum0_0));
const float v1_3 = expf((kept0_3 - sum0_0));
kept1_0 = v1_0;
kept1_1 = v1_1;
kept1_2 = v1_2;
kept1_3 = v1_3;
acc1_0 = (acc1_0 + v1_0);
acc1_1 = (acc1_1 + v1_1);
acc1_2 = (acc1_2 + v1_2);
acc1_3 = (acc1_3 + v1_3);
} else {
{
if (4 * tid < 300) {
const float v1 = expf((kept0_0 - sum0_0));
kept1_0 = v1;
acc1_0 = (acc1_0 + v1);
}
}
{
if ((4 * tid + 1) < 300) {
const float v1 = expf((kept0_1 - sum0_0));
kept1_1 = v1;
acc1_1 = (acc1_1 + v1);
}
}
{
if ((4 * tid + 2) < 300) {
const float v1 = expf((kept0_2 - sum0_0));
kept1_2 = v1;
acc1_2 = (acc1_2 + v1);
}
}
{
if ((4 * tid + 3) < 300) {
const float v1 = expf((kept0_3 - sum0_0));
kept1_3 = v1;
acc1_3 = (acc1_3 + v1);
}
}
}
sum1_0 = block_combine<op_add, 96, 96>((((acc1_0 + acc1_1) + acc1_2) + acc1_3));
if ((4 * tid + 3) < 300) {
*(vec<float, 4>*)(out0 + (300 * pid + 4 * tid)) = {{(kept1_0 / sum1_0), (kept1_1 / sum1_0), (kept1_2 / sum1_0), (kept1_3 / sum1_0)}};
} else {
{
if (4 * tid < 300) {
out0[(300 * pid + 4 * tid)] = (kept1_0 / sum1_0);
}
}
{
if ((4 * tid + 1) < 300) {
out0[(300 * pid + 4 * tid + 1)] = (kept1_1 / sum1_0);
}
}
{
if ((4 * tid + 2) < 300) {
out0[(300 * pid + 4 * tid + 2)] = (kept1_2 / sum1_0);
}
}
{
if ((4 * tid + 3) < 300) {
out0[(300 * pid + 4 * tid + 3)] = (kept1_3 / sum1_0);
}
}
}
}

#define inline_ __device__ __forceinline__
typedef unsigned u32;
typedef long long i64;
#define infinity __int_as_float(0x7f800000)
template<class T> inline_ T max_(T a, T b) { return a > b || a != a ? a : b; }
#if __CUDA_ARCH__ >= 800
template<> inline_ float max_<float>(float a, float b) { float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
#endif
struct op_add { template<class T> inline_ T operator()(T a, T b) const { return a + b; } };
struct op_max { template<class T> inline_ T operator()(T a, T b) const { return max_(a, b); } };
template<class T> inline_ T shuffle_(u32 all, T x, int by) { return __shfl_xor_sync(all, x, by); }
template<class Op, int N, int All, class T> inline_ T warp_combine(T x) { for (int o = N / 2; o; o >>= 1) x = Op()(x, shuffle_(All < 32 ? (1u << (All & 31)) - 1 : ~0u, x, o)); return x; }
template<class Op, int N, int All, class T> inline_ T block_combine(T x) { __shared__ T part[All / 32]; const int t = threadIdx.x; x = warp_combine<Op, 32, All>(x); __syncthreads(); if (t % 32 == 0) part[t / 32] = x; __syncthreads(); const int first = t / N * (N / 32); if ((N / 32 & (N / 32 - 1)) == 0) return warp_combine<Op, N / 32, 32>(part[first + t % (N / 32)]); T r = part[first]; for (int i = 1; i < N / 32; i++) r = Op()(r, part[first + i]); return r; }
extern "C" __global__ void __launch_bounds__(256) amax_sum_div_0z(const float* __restrict__ in0, float* __restrict__ out0, i64 n_size) {
typedef int ix;
const ix n = n_size;
const ix pid = blockIdx.x;
const int tid = threadIdx.x;
float acc0_0;
float acc0_1;
float acc0_2;
float acc0_3;
float acc0_4;
float acc0_5;
float acc0_6;
float acc0_7;
float acc0_8;
float acc0_9;
float acc0_10;
float acc0_11;
float acc0_12;
float acc0_13;
float acc0_14;
float acc0_15;
float kept0_0;
float kept0_1;
float kept0_2;
float kept0_3;
float kept0_4;
float kept0_5;
float kept0_6;
float kept0_7;
float kept0_8;
float kept0_9;
float kept0_10;
float kept0_11;
float kept0_12;
float kept0_13;
float kept0_14;
float kept0_15;
float sum0_0;
float acc1_0;
float acc1_1;
float acc1_2;
float acc1_3;
float acc1_4;
float acc1_5;
float acc1_6;
float acc1_7;
float acc1_8;
float acc1_9;
float acc1_10;
float acc1_11;
float acc1_12;
float acc1_13;
float acc1_14;
float acc1_15;
float kept1_0;
float kept1_1;
float kept1_2;
float kept1_3;
float kept1_4;
float kept1_5;
float kept1_6;
float kept1_7;
float kept1_8;
float kept1_9;
float kept1_10;
float kept1_11;
float kept1_12;
float kept1_13;
float kept1_14;
float kept1_15;
float sum1_0;
acc0_0 = (-infinity);
acc0_1 = (-infinity);
acc0_2 = (-infinity);
acc0_3 = (-infinity);
acc0_4 = (-infinity);
acc0_5 = (-infinity);
acc0_6 = (-infinity);
acc0_7 = (-infinity);
acc0_8 = (-infinity);
acc0_9 = (-infinity);
acc0_10 = (-infinity);
acc0_11 = (-infinity);
acc0_12 = (-infinity);
acc0_13 = (-infinity);
acc0_14 = (-infinity);
acc0_15 = (-infinity);
if (tid < n) {
const float v0 = in0[(tid + n * pid)];
kept0_0 = v0;
acc0_0 = max_<float>(acc0_0, v0);
}
if ((tid + 256) < n) {
const float v0 = in0[(tid + n * pid + 256)];
kept0_1 = v0;
acc0_1 = max_<float>(acc0_1, v0);
}
if ((tid + 512) < n) {
const float v0 = in0[(tid + n * pid + 512)];
kept0_2 = v0;
acc0_2 = max_<float>(acc0_2, v0);
}
if ((tid + 768) < n) {
const float v0 = in0[(tid + n * pid + 768)];
kept0_3 = v0;
acc0_3 = max_<float>(acc0_3, v0);
}
if ((tid + 1024) < n) {
const float v0 = in0[(tid + n * pid + 1024)];
kept0_4 = v0;
acc0_4 = max_<float>(acc0_4, v0);
}
if ((tid + 1280) < n) {
const float v0 = in0[(tid + n * pid + 1280)];
kept0_5 = v0;
acc0_5 = max_<float>(acc0_5, v0);
}
if ((tid + 1536) < n) {
const float v0 = in0[(tid + n * pid + 1536)];
kept0_6 = v0;
acc0_6 = max_<float>(acc0_6, v0);
}
if ((tid + 1792) < n) {
const float v0 = in0[(tid + n * pid + 1792)];
kept0_7 = v0;
acc0_7 = max_<float>(acc0_7, v0);
}
if ((tid + 2048) < n) {
const float v0 = in0[(tid + n * pid + 2048)];
kept0_8 = v0;
acc0_8 = max_<float>(acc0_8, v0);
}
if ((tid + 2304) < n) {
const float v0 = in0[(tid + n * pid + 2304)];
kept0_9 = v0;
acc0_9 = max_<float>(acc0_9, v0);
}
if ((tid + 2560) < n) {
const float v0 = in0[(tid + n * pid + 2560)];
kept0_10 = v0;
acc0_10 = max_<float>(acc0_10, v0);
}
if ((tid + 2816) < n) {
const float v0 = in0[(tid + n * pid + 2816)];
kept0_11 = v0;
acc0_11 = max_<float>(acc0_11, v0);
}
if ((tid + 3072) < n) {
const float v0 = in0[(tid + n * pid + 3072)];
kept0_12 = v0;
acc0_12 = max_<float>(acc0_12, v0);
}
if ((tid + 3328) < n) {
const float v0 = in0[(tid + n * pid + 3328)];
kept0_13 = v0;
acc0_13 = max_<float>(acc0_13, v0);
}
if ((tid + 3584) < n) {
const float v0 = in0[(tid + n * pid + 3584)];
kept0_14 = v0;
acc0_14 = max_<float>(acc0_14, v0);
}
if ((tid + 3840) < n) {
const float v0 = in0[(tid + n * pid + 3840)];
kept0_15 = v0;
acc0_15 = max_<float>(acc0_15, v0);
}
sum0_0 = block_combine<op_max, 256, 256>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(acc0_0, acc0_1), acc0_2), acc0_3), acc0_4), acc0_5), acc0_6), acc0_7), acc0_8), acc0_9), acc0_10), acc0_11), acc0_12), acc0_13), acc0_14), acc0_15));
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
if (tid < n) {
const float v1 = expf((kept0_0 - sum0_0));
kept1_0 = v1;
acc1_0 = (acc1_0 + v1);
}
if ((tid + 256) < n) {
const float v1 = expf((kept0_1 - sum0_0));
kept1_1 = v1;
acc1_1 = (acc1_1 + v1);
}
if ((tid + 512) < n) {
const float v1 = expf((kept0_2 - sum0_0));
kept1_2 = v1;
acc1_2 = (acc1_2 + v1);
}
if ((tid + 768) < n) {
const float v1 = expf((kept0_3 - sum0_0));
kept1_3 = v1;
acc1_3 = (acc1_3 + v1);
}
if ((tid + 1024) < n) {
const float v1 = expf((kept0_4 - sum0_0));
kept1_4 = v1;
acc1_4 = (acc1_4 + v1);
}
if ((tid + 1280) < n) {
const float v1 = expf((kept0_5 - sum0_0));
kept1_5 = v1;
acc1_5 = (acc1_5 + v1);
}
if ((tid + 1536) < n) {
const float v1 = expf((kept0_6 - sum0_0));
kept1_6 = v1;
acc1_6 = (acc1_6 + v1);
}
if ((tid + 1792) < n) {
const float v1 = expf((kept0_7 - sum0_0));
kept1_7 = v1;
acc1_7 = (acc1_7 + v1);
}
if ((tid + 2048) < n) {
const float v1 = expf((kept0_8 - sum0_0));
kept1_8 = v1;
acc1_8 = (acc1_8 + v1);
}
if ((tid + 2304) < n) {
const float v1 = expf((kept0_9 - sum0_0));
kept1_9 = v1;
acc1_9 = (acc1_9 + v1);
}
if ((tid + 2560) < n) {
const float v1 = expf((kept0_10 - sum0_0));
kept1_10 = v1;
acc1_10 = (acc1_10 + v1);
}
if ((tid + 2816) < n) {
const float v1 = expf((kept0_11 - sum0_0));
kept1_11 = v1;
acc1_11 = (acc1_11 + v1);
}
if ((tid + 3072) < n) {
const float v1 = expf((kept0_12 - sum0_0));
kept1_12 = v1;
acc1_12 = (acc1_12 + v1);
}
if ((tid + 3328) < n) {
const float v1 = expf((kept0_13 - sum0_0));
kept1_13 = v1;
acc1_13 = (acc1_13 + v1);
}
if ((tid + 3584) < n) {
const float v1 = expf((kept0_14 - sum0_0));
kept1_14 = v1;
acc1_14 = (acc1_14 + v1);
}
if ((tid + 3840) < n) {
const float v1 = expf((kept0_15 - sum0_0));
kept1_15 = v1;
acc1_15 = (acc1_15 + v1);
}
sum1_0 = block_combine<op_add, 256, 256>((((((((((((((((acc1_0 + acc1_1) + acc1_2) + acc1_3) + acc1_4) + acc1_5) + acc1_6) + acc1_7) + acc1_8) + acc1_9) + acc1_10) + acc1_11) + acc1_12) + acc1_13) + acc1_14) + acc1_15));
if (tid < n) {
out0[(tid + n * pid)] = (kept1_0 / sum1_0);
}
if ((tid + 256) < n) {
out0[(tid + n * pid + 256)] = (kept1_1 / sum1_0);
}
if ((tid + 512) < n) {
out0[(tid + n * pid + 512)] = (kept1_2 / sum1_0);
}
if ((tid + 768) < n) {
out0[(tid + n * pid + 768)] = (kept1_3 / sum1_0);
}
if ((tid + 1024) < n) {
out0[(tid + n * pid + 1024)] = (kept1_4 / sum1_0);
}
if ((tid + 1280) < n) {
out0[(tid + n * pid + 1280)] = (kept1_5 / sum1_0);
}
if ((tid + 1536) < n) {
out0[(tid + n * pid + 1536)] = (kept1_6 / sum1_0);
}
if ((tid + 1792) < n) {
out0[(tid + n * pid + 1792)] = (kept1_7 / sum1_0);
}
if ((tid + 2048) < n) {
out0[(tid + n * pid + 2048)] = (kept1_8 / sum1_0);
}
if ((tid + 2304) < n) {
out0[(tid + n * pid + 2304)] = (kept1_9 / sum1_0);
}
if ((tid + 2560) < n) {
out0[(tid + n * pid + 2560)] = (kept1_10 / sum1_0);
}
if ((tid + 2816) < n) {
out0[(tid + n * pid + 2816)] = (kept1_11 / sum1_0);
}
if ((tid + 3072) < n) {
out0[(tid + n * pid + 3072)] = (kept1_12 / sum1_0);
}
if ((tid + 3328) < n) {
out0[(tid + n * pid + 3328)] = (kept1_13 / sum1_0);
}
if ((tid + 3584) < n) {
out0[(tid + n * pid + 3584)] = (kept1_14 / sum1_0);
}
if ((tid + 3840) < n) {
out0[(tid + n * pid + 3840)] = (kept1_15 / sum1_0);
}
}

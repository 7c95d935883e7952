#define inline_ __device__ __forceinline__
typedef unsigned u32;
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
struct op_add { template<class T> inline_ T operator()(T a, T b) const { return a + b; } };
template<class T> inline_ T shuffle_(u32 all, T x, int by) { return __shfl_xor_sync(all, x, by); }
template<class Op, int N, int All, class T> inline_ T warp_combine(T x) { for (int o = N / 2; o; o >>= 1) x = Op()(x, shuffle_(All < 32 ? (1u << (All & 31)) - 1 : ~0u, x, o)); return x; }
template<class Op, int N, int All, class T> inline_ T block_combine(T x) { __shared__ T part[All / 32]; const int t = threadIdx.x; x = warp_combine<Op, 32, All>(x); __syncthreads(); if (t % 32 == 0) part[t / 32] = x; __syncthreads(); const int first = t / N * (N / 32); if ((N / 32 & (N / 32 - 1)) == 0) return warp_combine<Op, N / 32, 32>(part[first + t % (N / 32)]); T r = part[first]; for (int i = 1; i < N / 32; i++) r = Op()(r, part[first + i]); return r; }
extern "C" __global__ void __launch_bounds__(1024) sum_parts_0z(const float* __restrict__ in0, float* __restrict__ tmp0) {
typedef int ix;
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
float acc0_16;
float acc0_17;
float acc0_18;
float acc0_19;
float acc0_20;
float acc0_21;
float acc0_22;
float acc0_23;
float acc0_24;
float acc0_25;
float acc0_26;
float acc0_27;
float acc0_28;
float acc0_29;
float acc0_30;
float acc0_31;
float sum0_0;
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
const vec<float, 4> t_0 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid));
acc0_0 = (acc0_0 + t_0.v[0]);
acc0_1 = (acc0_1 + t_0.v[1]);
acc0_2 = (acc0_2 + t_0.v[2]);
acc0_3 = (acc0_3 + t_0.v[3]);
const vec<float, 4> t_1 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 4096));
acc0_4 = (acc0_4 + t_1.v[0]);
acc0_5 = (acc0_5 + t_1.v[1]);
acc0_6 = (acc0_6 + t_1.v[2]);
acc0_7 = (acc0_7 + t_1.v[3]);
const vec<float, 4> t_2 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 8192));
acc0_8 = (acc0_8 + t_2.v[0]);
acc0_9 = (acc0_9 + t_2.v[1]);
acc0_10 = (acc0_10 + t_2.v[2]);
acc0_11 = (acc0_11 + t_2.v[3]);
const vec<float, 4> t_3 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 12288));
acc0_12 = (acc0_12 + t_3.v[0]);
acc0_13 = (acc0_13 + t_3.v[1]);
acc0_14 = (acc0_14 + t_3.v[2]);
acc0_15 = (acc0_15 + t_3.v[3]);
const vec<float, 4> t_4 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 16384));
acc0_16 = (acc0_16 + t_4.v[0]);
acc0_17 = (acc0_17 + t_4.v[1]);
acc0_18 = (acc0_18 + t_4.v[2]);
acc0_19 = (acc0_19 + t_4.v[3]);
const vec<float, 4> t_5 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 20480));
acc0_20 = (acc0_20 + t_5.v[0]);
acc0_21 = (acc0_21 + t_5.v[1]);
acc0_22 = (acc0_22 + t_5.v[2]);
acc0_23 = (acc0_23 + t_5.v[3]);
const vec<float, 4> t_6 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 24576));
acc0_24 = (acc0_24 + t_6.v[0]);
acc0_25 = (acc0_25 + t_6.v[1]);
acc0_26 = (acc0_26 + t_6.v[2]);
acc0_27 = (acc0_27 + t_6.v[3]);
const vec<float, 4> t_7 = *(const vec<float, 4>*)(in0 + (32768 * pid + 4 * tid + 28672));
acc0_28 = (acc0_28 + t_7.v[0]);
acc0_29 = (acc0_29 + t_7.v[1]);
acc0_30 = (acc0_30 + t_7.v[2]);
acc0_31 = (acc0_31 + t_7.v[3]);
sum0_0 = block_combine<op_add, 1024, 1024>((((((((((((((((((((((((((((((((acc0_0 + acc0_1) + acc0_2) + acc0_3) + acc0_4) + acc0_5) + acc0_6) + acc0_7) + acc0_8) + acc0_9) + acc0_10) + acc0_11) + acc0_12) + acc0_13) + acc0_14) + acc0_15) + acc0_16) + acc0_17) + acc0_18) + acc0_19) + acc0_20) + acc0_21) + acc0_22) + acc0_23) + acc0_24) + acc0_25) + acc0_26) + acc0_27) + acc0_28) + acc0_29) + acc0_30) + acc0_31));
if (tid < 1) {
tmp0[pid] = sum0_0;
}
}
extern "C" __global__ void __launch_bounds__(32) sum_whole_1z(float* __restrict__ out0, const float* __restrict__ tmp0) {
typedef int ix;
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
float sum0_0;
acc0_0 = 0.0f;
acc0_1 = 0.0f;
acc0_2 = 0.0f;
acc0_3 = 0.0f;
acc0_4 = 0.0f;
acc0_5 = 0.0f;
acc0_6 = 0.0f;
acc0_7 = 0.0f;
if ((4 * tid + 3) < 4) {
const vec<float, 4> t_0 = *(const vec<float, 4>*)(tmp0 + 4 * tid);
acc0_0 = (acc0_0 + t_0.v[0]);
acc0_1 = (acc0_1 + t_0.v[1]);
acc0_2 = (acc0_2 + t_0.v[2]);
acc0_3 = (acc0_3 + t_0.v[3]);
} else {
{
if (4 * tid < 4) {
acc0_0 = (acc0_0 + tmp0[4 * tid]);
}
}
{
if ((4 * tid + 1) < 4) {
acc0_1 = (acc0_1 + tmp0[(4 * tid + 1)]);
}
}
{
if ((4 * tid + 2) < 4) {
acc0_2 = (acc0_2 + tmp0[(4 * tid + 2)]);
}
}
{
if ((4 * tid + 3) < 4) {
acc0_3 = (acc0_3 + tmp0[(4 * tid + 3)]);
}
}
}
sum0_0 = warp_combine<op_add, 32, 32>((((((((acc0_0 + acc0_1) + acc0_2) + acc0_3) + acc0_4) + acc0_5) + acc0_6) + acc0_7));
if (tid < 1) {
out0[0] = sum0_0;
}
}

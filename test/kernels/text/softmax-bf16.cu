#define inline_ __device__ __forceinline__
typedef unsigned short u16;
typedef unsigned u32;
#define infinity __int_as_float(0x7f800000)
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
inline_ float widen_bf16(u16 x) { return __uint_as_float((u32)x << 16); }
inline_ u32 narrow2_bf16(float a, float b) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a)); return r; }
template<class T> inline_ T max_(T a, T b) { return a > b || a != a ? a : b; }
#if __CUDA_ARCH__ >= 800
template<> inline_ float max_<float>(float a, float b) { float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
#endif
struct op_add { template<class T> inline_ T operator()(T a, T b) const { return a + b; } };
struct op_max { template<class T> inline_ T operator()(T a, T b) const { return max_(a, b); } };
template<class T> inline_ T shuffle_(u32 all, T x, int by) { return __shfl_xor_sync(all, x, by); }
template<class Op, int N, int All, class T> inline_ T warp_combine(T x) { for (int o = N / 2; o; o >>= 1) x = Op()(x, shuffle_(All < 32 ? (1u << (All & 31)) - 1 : ~0u, x, o)); return x; }
template<class Op, int N, int All, class T> inline_ T block_combine(T x) { __shared__ T part[All / 32]; const int t = threadIdx.x; x = warp_combine<Op, 32, All>(x); __syncthreads(); if (t % 32 == 0) part[t / 32] = x; __syncthreads(); const int first = t / N * (N / 32); if ((N / 32 & (N / 32 - 1)) == 0) return warp_combine<Op, N / 32, 32>(part[first + t % (N / 32)]); T r = part[first]; for (int i = 1; i < N / 32; i++) r = Op()(r, part[first + i]); return r; }
extern "C" __global__ void __launch_bounds__(256) amax_sum_cast_0z(const u16* __restrict__ in0, u16* __restrict__ out0) {
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
float kept0_0;
float kept0_1;
float kept0_2;
float kept0_3;
float kept0_4;
float kept0_5;
float kept0_6;
float kept0_7;
float sum0_0;
float acc1_0;
float acc1_1;
float acc1_2;
float acc1_3;
float acc1_4;
float acc1_5;
float acc1_6;
float acc1_7;
float kept1_0;
float kept1_1;
float kept1_2;
float kept1_3;
float kept1_4;
float kept1_5;
float kept1_6;
float kept1_7;
float sum1_0;
acc0_0 = (-infinity);
acc0_1 = (-infinity);
acc0_2 = (-infinity);
acc0_3 = (-infinity);
acc0_4 = (-infinity);
acc0_5 = (-infinity);
acc0_6 = (-infinity);
acc0_7 = (-infinity);
{
const vec<u16, 8> t_0 = *(const vec<u16, 8>*)(in0 + (2048 * pid + 8 * tid));
const float v0_0 = widen_bf16(t_0.v[0]);
const float v0_1 = widen_bf16(t_0.v[1]);
const float v0_2 = widen_bf16(t_0.v[2]);
const float v0_3 = widen_bf16(t_0.v[3]);
const float v0_4 = widen_bf16(t_0.v[4]);
const float v0_5 = widen_bf16(t_0.v[5]);
const float v0_6 = widen_bf16(t_0.v[6]);
const float v0_7 = widen_bf16(t_0.v[7]);
kept0_0 = v0_0;
kept0_1 = v0_1;
kept0_2 = v0_2;
kept0_3 = v0_3;
kept0_4 = v0_4;
kept0_5 = v0_5;
kept0_6 = v0_6;
kept0_7 = v0_7;
acc0_0 = max_<float>(acc0_0, v0_0);
acc0_1 = max_<float>(acc0_1, v0_1);
acc0_2 = max_<float>(acc0_2, v0_2);
acc0_3 = max_<float>(acc0_3, v0_3);
acc0_4 = max_<float>(acc0_4, v0_4);
acc0_5 = max_<float>(acc0_5, v0_5);
acc0_6 = max_<float>(acc0_6, v0_6);
acc0_7 = max_<float>(acc0_7, v0_7);
}
sum0_0 = block_combine<op_max, 256, 256>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(max_<float>(acc0_0, acc0_1), acc0_2), acc0_3), acc0_4), acc0_5), acc0_6), acc0_7));
acc1_0 = 0.0f;
acc1_1 = 0.0f;
acc1_2 = 0.0f;
acc1_3 = 0.0f;
acc1_4 = 0.0f;
acc1_5 = 0.0f;
acc1_6 = 0.0f;
acc1_7 = 0.0f;
{
const float v1_0 = expf((kept0_0 - sum0_0));
const float v1_1 = expf((kept0_1 - sum0_0));
const float v1_2 = expf((kept0_2 - sum0_0));
const float v1_3 = expf((kept0_3 - sum0_0));
const float v1_4 = expf((kept0_4 - sum0_0));
const float v1_5 = expf((kept0_5 - sum0_0));
const float v1_6 = expf((kept0_6 - sum0_0));
const float v1_7 = expf((kept0_7 - sum0_0));
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
sum1_0 = block_combine<op_add, 256, 256>((((((((acc1_0 + acc1_1) + acc1_2) + acc1_3) + acc1_4) + acc1_5) + acc1_6) + acc1_7));
*(vec<u32, 4>*)(out0 + (2048 * pid + 8 * tid)) = {{narrow2_bf16((kept1_0 / sum1_0), (kept1_1 / sum1_0)), narrow2_bf16((kept1_2 / sum1_0), (kept1_3 / sum1_0)), narrow2_bf16((kept1_4 / sum1_0), (kept1_5 / sum1_0)), narrow2_bf16((kept1_6 / sum1_0), (kept1_7 / sum1_0))}};
}

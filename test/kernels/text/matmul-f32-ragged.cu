#define inline_ __device__ __forceinline__
typedef unsigned u32;
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
template<class T> inline_ T least(T a, T b) { return a < b ? a : b; }
template<class T> inline_ T max_(T a, T b) { return a > b || a != a ? a : b; }
#if __CUDA_ARCH__ >= 800
template<> inline_ float max_<float>(float a, float b) { float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
#endif
extern "C" __global__ void __launch_bounds__(256) dot_maximum_0z(const float* __restrict__ in0, const float* __restrict__ in1, const float* __restrict__ in2, float* __restrict__ out0) {
typedef int ix;
extern __shared__ __align__(1024) unsigned char smem[];
float* const aStage = (float*)(smem + 0);
float* const bStage = (float*)(smem + 4352);
const ix pid = blockIdx.x;
const int tid = threadIdx.x;
float acc_0;
float acc_1;
float acc_2;
float acc_3;
float acc_4;
float acc_5;
float acc_6;
float acc_7;
float acc_8;
float acc_9;
float acc_10;
float acc_11;
float acc_12;
float acc_13;
float acc_14;
float acc_15;
float br_0;
float br_1;
float br_2;
float br_3;
float ar_0;
float ar_1;
float ar_2;
float ar_3;
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
#pragma unroll 1
for (ix k4 = 0; k4 < 4; k4++) {
__syncthreads();
if ((64 * (ix)((u32)(pid) / (u32)(2)) + (ix)((u32)(tid) / (u32)(4))) < 100) {
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 50) {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))];
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)];
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)];
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)];
} else {
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4))) < 50) {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))];
} else {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 1) < 50) {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)];
} else {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 2) < 50) {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)];
} else {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 50) {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)] = in1[(16 * k4 + 3200 * (ix)((u32)(pid) / (u32)(2)) + 50 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)];
} else {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)] = 0.0f;
}
}
}
} else {
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)] = 0.0f;
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)] = 0.0f;
aStage[(17 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)] = 0.0f;
}
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
if ((16 * k4 + (ix)((u32)(tid) / (u32)(16))) < 50) {
*(vec<float, 4>*)(bStage + (68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)))) = {{in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))], in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)], in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)], in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)]}};
} else {
*(vec<float, 4>*)(bStage + (68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)))) = {{0.0f, 0.0f, 0.0f, 0.0f}};
}
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
if ((16 * k4 + (ix)((u32)(tid) / (u32)(16))) < 50) {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)))] = in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))];
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)))] = 0.0f;
}
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)))] = 0.0f;
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
if ((16 * k4 + (ix)((u32)(tid) / (u32)(16))) < 50) {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)] = in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)];
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)] = 0.0f;
}
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)] = 0.0f;
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
if ((16 * k4 + (ix)((u32)(tid) / (u32)(16))) < 50) {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)] = in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)];
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)] = 0.0f;
}
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)] = 0.0f;
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
if ((16 * k4 + (ix)((u32)(tid) / (u32)(16))) < 50) {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)] = in0[(1440 * k4 + 90 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)];
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)] = 0.0f;
}
} else {
bStage[(68 * (ix)((u32)(tid) / (u32)(16)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)] = 0.0f;
}
}
}
__syncthreads();
#pragma unroll 1
for (ix k = 0; k < 2 * least<ix>((-8 * k4 + 25), 8); k++) {
const vec<float, 4> t_0 = *(const vec<float, 4>*)(bStage + (68 * k + 4 * (ix)((u32)(tid) % (u32)(16))));
br_0 = t_0.v[0];
br_1 = t_0.v[1];
br_2 = t_0.v[2];
br_3 = t_0.v[3];
ar_0 = aStage[(k + 68 * (ix)((u32)(tid) / (u32)(16)))];
acc_0 = fmaf(ar_0, br_0, acc_0);
acc_1 = fmaf(ar_0, br_1, acc_1);
acc_2 = fmaf(ar_0, br_2, acc_2);
acc_3 = fmaf(ar_0, br_3, acc_3);
ar_1 = aStage[(k + 68 * (ix)((u32)(tid) / (u32)(16)) + 17)];
acc_4 = fmaf(ar_1, br_0, acc_4);
acc_5 = fmaf(ar_1, br_1, acc_5);
acc_6 = fmaf(ar_1, br_2, acc_6);
acc_7 = fmaf(ar_1, br_3, acc_7);
ar_2 = aStage[(k + 68 * (ix)((u32)(tid) / (u32)(16)) + 34)];
acc_8 = fmaf(ar_2, br_0, acc_8);
acc_9 = fmaf(ar_2, br_1, acc_9);
acc_10 = fmaf(ar_2, br_2, acc_10);
acc_11 = fmaf(ar_2, br_3, acc_11);
ar_3 = aStage[(k + 68 * (ix)((u32)(tid) / (u32)(16)) + 51)];
acc_12 = fmaf(ar_3, br_0, acc_12);
acc_13 = fmaf(ar_3, br_1, acc_13);
acc_14 = fmaf(ar_3, br_2, acc_14);
acc_15 = fmaf(ar_3, br_3, acc_15);
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16))) < 100) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
const vec<float, 4> t_1 = *(const vec<float, 4>*)(in2 + (64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))));
*(vec<float, 4>*)(out0 + (5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))) = {{max_<float>((acc_0 + t_1.v[0]), 0.0f), max_<float>((acc_1 + t_1.v[1]), 0.0f), max_<float>((acc_2 + t_1.v[2]), 0.0f), max_<float>((acc_3 + t_1.v[3]), 0.0f)}};
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))] = max_<float>((acc_0 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)] = max_<float>((acc_1 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)] = max_<float>((acc_2 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)] = max_<float>((acc_3 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)]), 0.0f);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 1) < 100) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
const vec<float, 4> t_2 = *(const vec<float, 4>*)(in2 + (64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))));
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 90)] = max_<float>((acc_4 + t_2.v[0]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 91)] = max_<float>((acc_5 + t_2.v[1]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 92)] = max_<float>((acc_6 + t_2.v[2]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 93)] = max_<float>((acc_7 + t_2.v[3]), 0.0f);
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 90)] = max_<float>((acc_4 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 91)] = max_<float>((acc_5 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 92)] = max_<float>((acc_6 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 93)] = max_<float>((acc_7 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)]), 0.0f);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 2) < 100) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
const vec<float, 4> t_3 = *(const vec<float, 4>*)(in2 + (64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))));
*(vec<float, 4>*)(out0 + (5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 180)) = {{max_<float>((acc_8 + t_3.v[0]), 0.0f), max_<float>((acc_9 + t_3.v[1]), 0.0f), max_<float>((acc_10 + t_3.v[2]), 0.0f), max_<float>((acc_11 + t_3.v[3]), 0.0f)}};
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 180)] = max_<float>((acc_8 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 181)] = max_<float>((acc_9 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 182)] = max_<float>((acc_10 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 183)] = max_<float>((acc_11 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)]), 0.0f);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 3) < 100) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
const vec<float, 4> t_4 = *(const vec<float, 4>*)(in2 + (64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))));
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 270)] = max_<float>((acc_12 + t_4.v[0]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 271)] = max_<float>((acc_13 + t_4.v[1]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 272)] = max_<float>((acc_14 + t_4.v[2]), 0.0f);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 273)] = max_<float>((acc_15 + t_4.v[3]), 0.0f);
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 270)] = max_<float>((acc_12 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 271)] = max_<float>((acc_13 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 272)] = max_<float>((acc_14 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)]), 0.0f);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 273)] = max_<float>((acc_15 + in2[(64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)]), 0.0f);
}
}
}
}
}

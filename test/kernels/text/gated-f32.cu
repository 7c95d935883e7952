#define inline_ __device__ __forceinline__
typedef unsigned u32;
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
template<class T> inline_ T least(T a, T b) { return a < b ? a : b; }
extern "C" __global__ void __launch_bounds__(256) dot_mul_0z(const float* __restrict__ in0, const float* __restrict__ in1, const float* __restrict__ in2, float* __restrict__ out0) {
typedef int ix;
extern __shared__ __align__(1024) unsigned char smem[];
float* const aStage = (float*)(smem + 0);
float* const bStage = (float*)(smem + 4352);
float* const bStage1 = (float*)(smem + 8704);
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
float acc_16;
float acc_17;
float acc_18;
float acc_19;
float acc_20;
float acc_21;
float acc_22;
float acc_23;
float acc_24;
float acc_25;
float acc_26;
float acc_27;
float acc_28;
float acc_29;
float acc_30;
float acc_31;
float br_0;
float br_1;
float br_2;
float br_3;
float br_4;
float br_5;
float br_6;
float br_7;
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
acc_16 = 0.0f;
acc_17 = 0.0f;
acc_18 = 0.0f;
acc_19 = 0.0f;
acc_20 = 0.0f;
acc_21 = 0.0f;
acc_22 = 0.0f;
acc_23 = 0.0f;
acc_24 = 0.0f;
acc_25 = 0.0f;
acc_26 = 0.0f;
acc_27 = 0.0f;
acc_28 = 0.0f;
acc_29 = 0.0f;
acc_30 = 0.0f;
acc_31 = 0.0f;
#pragma unroll 1
for (ix k4 = 0; k4 < 3; k4++) {
__syncthreads();
if ((64 * (ix)((u32)(pid) / (u32)(2)) + (ix)((u32)(tid) / (u32)(4))) < 70) {
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
const vec<float, 4> t_0 = *(const vec<float, 4>*)(in1 + (16 * k4 + 2560 * (ix)((u32)(pid) / (u32)(2)) + 40 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4))));
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = t_0.v[0];
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = t_0.v[1];
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = t_0.v[2];
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = t_0.v[3];
} else {
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4))) < 40) {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = in1[(16 * k4 + 2560 * (ix)((u32)(pid) / (u32)(2)) + 40 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)))];
} else {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 1) < 40) {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = in1[(16 * k4 + 2560 * (ix)((u32)(pid) / (u32)(2)) + 40 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)];
} else {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 2) < 40) {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = in1[(16 * k4 + 2560 * (ix)((u32)(pid) / (u32)(2)) + 40 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)];
} else {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = in1[(16 * k4 + 2560 * (ix)((u32)(pid) / (u32)(2)) + 40 * (ix)((u32)(tid) / (u32)(4)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)];
} else {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
}
}
} else {
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
aStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
if (((ix)((u32)(tid) / (u32)(4)) + 64 * (ix)((u32)(pid) % (u32)(2))) < 90) {
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
const vec<float, 4> t_1 = *(const vec<float, 4>*)(in0 + (16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4))));
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = t_1.v[0];
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = t_1.v[1];
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = t_1.v[2];
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = t_1.v[3];
} else {
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4))) < 40) {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = in0[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)))];
} else {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 1) < 40) {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = in0[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)];
} else {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 2) < 40) {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = in0[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)];
} else {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = in0[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)];
} else {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
}
}
} else {
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
bStage[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
if (((ix)((u32)(tid) / (u32)(4)) + 64 * (ix)((u32)(pid) % (u32)(2))) < 90) {
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
const vec<float, 4> t_2 = *(const vec<float, 4>*)(in2 + (16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4))));
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = t_2.v[0];
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = t_2.v[1];
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = t_2.v[2];
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = t_2.v[3];
} else {
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4))) < 40) {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = in2[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)))];
} else {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 1) < 40) {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = in2[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 1)];
} else {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 2) < 40) {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = in2[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 2)];
} else {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
}
}
{
if ((16 * k4 + 4 * (ix)((u32)(tid) % (u32)(4)) + 3) < 40) {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = in2[(16 * k4 + 40 * (ix)((u32)(tid) / (u32)(4)) + 2560 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(4)) + 3)];
} else {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
}
}
} else {
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)))] = 0.0f;
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 68)] = 0.0f;
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 136)] = 0.0f;
bStage1[((ix)((u32)(tid) / (u32)(4)) + 272 * (ix)((u32)(tid) % (u32)(4)) + 204)] = 0.0f;
}
__syncthreads();
#pragma unroll 1
for (ix k = 0; k < 8 * least<ix>((-2 * k4 + 5), 2); k++) {
const vec<float, 4> t_3 = *(const vec<float, 4>*)(bStage + (68 * k + 4 * (ix)((u32)(tid) % (u32)(16))));
br_0 = t_3.v[0];
br_1 = t_3.v[1];
br_2 = t_3.v[2];
br_3 = t_3.v[3];
const vec<float, 4> t_4 = *(const vec<float, 4>*)(bStage1 + (68 * k + 4 * (ix)((u32)(tid) % (u32)(16))));
br_4 = t_4.v[0];
br_5 = t_4.v[1];
br_6 = t_4.v[2];
br_7 = t_4.v[3];
const vec<float, 4> t_5 = *(const vec<float, 4>*)(aStage + (68 * k + 4 * (ix)((u32)(tid) / (u32)(16))));
ar_0 = t_5.v[0];
ar_1 = t_5.v[1];
ar_2 = t_5.v[2];
ar_3 = t_5.v[3];
acc_0 = fmaf(ar_0, br_0, acc_0);
acc_1 = fmaf(ar_0, br_1, acc_1);
acc_2 = fmaf(ar_0, br_2, acc_2);
acc_3 = fmaf(ar_0, br_3, acc_3);
acc_16 = fmaf(ar_0, br_4, acc_16);
acc_17 = fmaf(ar_0, br_5, acc_17);
acc_18 = fmaf(ar_0, br_6, acc_18);
acc_19 = fmaf(ar_0, br_7, acc_19);
acc_4 = fmaf(ar_1, br_0, acc_4);
acc_5 = fmaf(ar_1, br_1, acc_5);
acc_6 = fmaf(ar_1, br_2, acc_6);
acc_7 = fmaf(ar_1, br_3, acc_7);
acc_20 = fmaf(ar_1, br_4, acc_20);
acc_21 = fmaf(ar_1, br_5, acc_21);
acc_22 = fmaf(ar_1, br_6, acc_22);
acc_23 = fmaf(ar_1, br_7, acc_23);
acc_8 = fmaf(ar_2, br_0, acc_8);
acc_9 = fmaf(ar_2, br_1, acc_9);
acc_10 = fmaf(ar_2, br_2, acc_10);
acc_11 = fmaf(ar_2, br_3, acc_11);
acc_24 = fmaf(ar_2, br_4, acc_24);
acc_25 = fmaf(ar_2, br_5, acc_25);
acc_26 = fmaf(ar_2, br_6, acc_26);
acc_27 = fmaf(ar_2, br_7, acc_27);
acc_12 = fmaf(ar_3, br_0, acc_12);
acc_13 = fmaf(ar_3, br_1, acc_13);
acc_14 = fmaf(ar_3, br_2, acc_14);
acc_15 = fmaf(ar_3, br_3, acc_15);
acc_28 = fmaf(ar_3, br_4, acc_28);
acc_29 = fmaf(ar_3, br_5, acc_29);
acc_30 = fmaf(ar_3, br_6, acc_30);
acc_31 = fmaf(ar_3, br_7, acc_31);
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16))) < 70) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
*(vec<float, 4>*)(out0 + (5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))) = {{((acc_0 / (expf(((float)-acc_0)) + 1.0f)) * acc_16), ((acc_1 / (expf(((float)-acc_1)) + 1.0f)) * acc_17), ((acc_2 / (expf(((float)-acc_2)) + 1.0f)) * acc_18), ((acc_3 / (expf(((float)-acc_3)) + 1.0f)) * acc_19)}};
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)))] = ((acc_0 / (expf(((float)-acc_0)) + 1.0f)) * acc_16);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1)] = ((acc_1 / (expf(((float)-acc_1)) + 1.0f)) * acc_17);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2)] = ((acc_2 / (expf(((float)-acc_2)) + 1.0f)) * acc_18);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3)] = ((acc_3 / (expf(((float)-acc_3)) + 1.0f)) * acc_19);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 1) < 70) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 90)] = ((acc_4 / (expf(((float)-acc_4)) + 1.0f)) * acc_20);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 91)] = ((acc_5 / (expf(((float)-acc_5)) + 1.0f)) * acc_21);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 92)] = ((acc_6 / (expf(((float)-acc_6)) + 1.0f)) * acc_22);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 93)] = ((acc_7 / (expf(((float)-acc_7)) + 1.0f)) * acc_23);
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 90)] = ((acc_4 / (expf(((float)-acc_4)) + 1.0f)) * acc_20);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 91)] = ((acc_5 / (expf(((float)-acc_5)) + 1.0f)) * acc_21);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 92)] = ((acc_6 / (expf(((float)-acc_6)) + 1.0f)) * acc_22);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 93)] = ((acc_7 / (expf(((float)-acc_7)) + 1.0f)) * acc_23);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 2) < 70) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
*(vec<float, 4>*)(out0 + (5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 180)) = {{((acc_8 / (expf(((float)-acc_8)) + 1.0f)) * acc_24), ((acc_9 / (expf(((float)-acc_9)) + 1.0f)) * acc_25), ((acc_10 / (expf(((float)-acc_10)) + 1.0f)) * acc_26), ((acc_11 / (expf(((float)-acc_11)) + 1.0f)) * acc_27)}};
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 180)] = ((acc_8 / (expf(((float)-acc_8)) + 1.0f)) * acc_24);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 181)] = ((acc_9 / (expf(((float)-acc_9)) + 1.0f)) * acc_25);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 182)] = ((acc_10 / (expf(((float)-acc_10)) + 1.0f)) * acc_26);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 183)] = ((acc_11 / (expf(((float)-acc_11)) + 1.0f)) * acc_27);
}
}
}
}
if ((64 * (ix)((u32)(pid) / (u32)(2)) + 4 * (ix)((u32)(tid) / (u32)(16)) + 3) < 70) {
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 270)] = ((acc_12 / (expf(((float)-acc_12)) + 1.0f)) * acc_28);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 271)] = ((acc_13 / (expf(((float)-acc_13)) + 1.0f)) * acc_29);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 272)] = ((acc_14 / (expf(((float)-acc_14)) + 1.0f)) * acc_30);
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 273)] = ((acc_15 / (expf(((float)-acc_15)) + 1.0f)) * acc_31);
} else {
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16))) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 270)] = ((acc_12 / (expf(((float)-acc_12)) + 1.0f)) * acc_28);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 1) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 271)] = ((acc_13 / (expf(((float)-acc_13)) + 1.0f)) * acc_29);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 2) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 272)] = ((acc_14 / (expf(((float)-acc_14)) + 1.0f)) * acc_30);
}
}
{
if ((64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 3) < 90) {
out0[(5760 * (ix)((u32)(pid) / (u32)(2)) + 360 * (ix)((u32)(tid) / (u32)(16)) + 64 * (ix)((u32)(pid) % (u32)(2)) + 4 * (ix)((u32)(tid) % (u32)(16)) + 273)] = ((acc_15 / (expf(((float)-acc_15)) + 1.0f)) * acc_31);
}
}
}
}
}

#define inline_ __device__ __forceinline__
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };
inline_ float widen_bf16(u16 x) { return __uint_as_float((u32)x << 16); }
inline_ u16 narrow_bf16(float x) { u16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }
inline_ u32 narrow2_bf16(float a, float b) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a)); return r; }
template<class T> inline_ T least(T a, T b) { return a < b ? a : b; }
inline_ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
struct alignas(64) tile_map { char bytes[128]; };
inline_ void signal_arm(u64* s, int n) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(s)), "r"(n)); asm volatile("fence.mbarrier_init.release.cluster;"); }
inline_ void signal_expect(u64* s, int bytes) { asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(shared_address(s)), "r"(bytes) : "memory"); }
inline_ void signal_arrive(u64* s) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(shared_address(s)) : "memory"); }
inline_ void signal_await(u64* s, int phase) { asm volatile("{ .reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @p bra done; bra again; done: }" :: "r"(shared_address(s)), "r"(phase) : "memory"); }
inline_ void copy_tile(void* to, const tile_map* map, int column, int row, u64* s) { asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" :: "r"(shared_address(to)), "l"(map), "r"(shared_address(s)), "r"(column), "r"(row) : "memory"); }
inline_ u64 tile_address(const void* p, int i) { return 0x4000004000010000ull + ((shared_address(p) >> 4) + (u32)(i >> 3)); }
extern "C" __global__ void __launch_bounds__(160) dot_mul_0z(const u16* __restrict__ in0, const u16* __restrict__ in1, const u16* __restrict__ in2, u16* __restrict__ out0, const __grid_constant__ tile_map in1_map, const __grid_constant__ tile_map in0_map, const __grid_constant__ tile_map in2_map) {
typedef int ix;
extern __shared__ __align__(1024) unsigned char smem[];
u16* const aStage = (u16*)(smem + 0);
u16* const bStage = (u16*)(smem + 32768);
u16* const bStage1 = (u16*)(smem + 65536);
u16* const corners = (u16*)(smem + 98304);
u64* const full = (u64*)(smem + 107520);
u64* const empty = (u64*)(smem + 107552);
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
float acc_32;
float acc_33;
float acc_34;
float acc_35;
float acc_36;
float acc_37;
float acc_38;
float acc_39;
float acc_40;
float acc_41;
float acc_42;
float acc_43;
float acc_44;
float acc_45;
float acc_46;
float acc_47;
float acc_48;
float acc_49;
float acc_50;
float acc_51;
float acc_52;
float acc_53;
float acc_54;
float acc_55;
float acc_56;
float acc_57;
float acc_58;
float acc_59;
float acc_60;
float acc_61;
float acc_62;
float acc_63;
if (tid < 1) {
signal_arm(full + 0, 1);
signal_arm(empty + 0, 4);
signal_arm(full + 1, 1);
signal_arm(empty + 1, 4);
signal_arm(full + 2, 1);
signal_arm(empty + 2, 4);
signal_arm(full + 3, 1);
signal_arm(empty + 3, 4);
}
__syncthreads();
if (tid < 128) {
const ix worker = least<ix>(tid, 127);
acc_0 = acc_1 = acc_2 = acc_3 = acc_4 = acc_5 = acc_6 = acc_7 = acc_8 = acc_9 = acc_10 = acc_11 = acc_12 = acc_13 = acc_14 = acc_15 = acc_16 = acc_17 = acc_18 = acc_19 = acc_20 = acc_21 = acc_22 = acc_23 = acc_24 = acc_25 = acc_26 = acc_27 = acc_28 = acc_29 = acc_30 = acc_31 = 0.0f;
acc_32 = acc_33 = acc_34 = acc_35 = acc_36 = acc_37 = acc_38 = acc_39 = acc_40 = acc_41 = acc_42 = acc_43 = acc_44 = acc_45 = acc_46 = acc_47 = acc_48 = acc_49 = acc_50 = acc_51 = acc_52 = acc_53 = acc_54 = acc_55 = acc_56 = acc_57 = acc_58 = acc_59 = acc_60 = acc_61 = acc_62 = acc_63 = 0.0f;
#pragma unroll 1
for (ix k4 = 0; k4 < 4; k4++) {
signal_await(full + k4, 0);
asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_0), "+f"(acc_1), "+f"(acc_2), "+f"(acc_3), "+f"(acc_4), "+f"(acc_5), "+f"(acc_6), "+f"(acc_7), "+f"(acc_8), "+f"(acc_9), "+f"(acc_10), "+f"(acc_11), "+f"(acc_12), "+f"(acc_13), "+f"(acc_14), "+f"(acc_15), "+f"(acc_16), "+f"(acc_17), "+f"(acc_18), "+f"(acc_19), "+f"(acc_20), "+f"(acc_21), "+f"(acc_22), "+f"(acc_23), "+f"(acc_24), "+f"(acc_25), "+f"(acc_26), "+f"(acc_27), "+f"(acc_28), "+f"(acc_29), "+f"(acc_30), "+f"(acc_31) : "l"(tile_address(aStage, 4096 * k4)), "l"(tile_address(bStage, 4096 * k4)));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_32), "+f"(acc_33), "+f"(acc_34), "+f"(acc_35), "+f"(acc_36), "+f"(acc_37), "+f"(acc_38), "+f"(acc_39), "+f"(acc_40), "+f"(acc_41), "+f"(acc_42), "+f"(acc_43), "+f"(acc_44), "+f"(acc_45), "+f"(acc_46), "+f"(acc_47), "+f"(acc_48), "+f"(acc_49), "+f"(acc_50), "+f"(acc_51), "+f"(acc_52), "+f"(acc_53), "+f"(acc_54), "+f"(acc_55), "+f"(acc_56), "+f"(acc_57), "+f"(acc_58), "+f"(acc_59), "+f"(acc_60), "+f"(acc_61), "+f"(acc_62), "+f"(acc_63) : "l"(tile_address(aStage, 4096 * k4)), "l"(tile_address(bStage1, 4096 * k4)));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_0), "+f"(acc_1), "+f"(acc_2), "+f"(acc_3), "+f"(acc_4), "+f"(acc_5), "+f"(acc_6), "+f"(acc_7), "+f"(acc_8), "+f"(acc_9), "+f"(acc_10), "+f"(acc_11), "+f"(acc_12), "+f"(acc_13), "+f"(acc_14), "+f"(acc_15), "+f"(acc_16), "+f"(acc_17), "+f"(acc_18), "+f"(acc_19), "+f"(acc_20), "+f"(acc_21), "+f"(acc_22), "+f"(acc_23), "+f"(acc_24), "+f"(acc_25), "+f"(acc_26), "+f"(acc_27), "+f"(acc_28), "+f"(acc_29), "+f"(acc_30), "+f"(acc_31) : "l"(tile_address(aStage, (4096 * k4 + 16))), "l"(tile_address(bStage, (4096 * k4 + 16))));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_32), "+f"(acc_33), "+f"(acc_34), "+f"(acc_35), "+f"(acc_36), "+f"(acc_37), "+f"(acc_38), "+f"(acc_39), "+f"(acc_40), "+f"(acc_41), "+f"(acc_42), "+f"(acc_43), "+f"(acc_44), "+f"(acc_45), "+f"(acc_46), "+f"(acc_47), "+f"(acc_48), "+f"(acc_49), "+f"(acc_50), "+f"(acc_51), "+f"(acc_52), "+f"(acc_53), "+f"(acc_54), "+f"(acc_55), "+f"(acc_56), "+f"(acc_57), "+f"(acc_58), "+f"(acc_59), "+f"(acc_60), "+f"(acc_61), "+f"(acc_62), "+f"(acc_63) : "l"(tile_address(aStage, (4096 * k4 + 16))), "l"(tile_address(bStage1, (4096 * k4 + 16))));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_0), "+f"(acc_1), "+f"(acc_2), "+f"(acc_3), "+f"(acc_4), "+f"(acc_5), "+f"(acc_6), "+f"(acc_7), "+f"(acc_8), "+f"(acc_9), "+f"(acc_10), "+f"(acc_11), "+f"(acc_12), "+f"(acc_13), "+f"(acc_14), "+f"(acc_15), "+f"(acc_16), "+f"(acc_17), "+f"(acc_18), "+f"(acc_19), "+f"(acc_20), "+f"(acc_21), "+f"(acc_22), "+f"(acc_23), "+f"(acc_24), "+f"(acc_25), "+f"(acc_26), "+f"(acc_27), "+f"(acc_28), "+f"(acc_29), "+f"(acc_30), "+f"(acc_31) : "l"(tile_address(aStage, (4096 * k4 + 32))), "l"(tile_address(bStage, (4096 * k4 + 32))));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_32), "+f"(acc_33), "+f"(acc_34), "+f"(acc_35), "+f"(acc_36), "+f"(acc_37), "+f"(acc_38), "+f"(acc_39), "+f"(acc_40), "+f"(acc_41), "+f"(acc_42), "+f"(acc_43), "+f"(acc_44), "+f"(acc_45), "+f"(acc_46), "+f"(acc_47), "+f"(acc_48), "+f"(acc_49), "+f"(acc_50), "+f"(acc_51), "+f"(acc_52), "+f"(acc_53), "+f"(acc_54), "+f"(acc_55), "+f"(acc_56), "+f"(acc_57), "+f"(acc_58), "+f"(acc_59), "+f"(acc_60), "+f"(acc_61), "+f"(acc_62), "+f"(acc_63) : "l"(tile_address(aStage, (4096 * k4 + 32))), "l"(tile_address(bStage1, (4096 * k4 + 32))));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_0), "+f"(acc_1), "+f"(acc_2), "+f"(acc_3), "+f"(acc_4), "+f"(acc_5), "+f"(acc_6), "+f"(acc_7), "+f"(acc_8), "+f"(acc_9), "+f"(acc_10), "+f"(acc_11), "+f"(acc_12), "+f"(acc_13), "+f"(acc_14), "+f"(acc_15), "+f"(acc_16), "+f"(acc_17), "+f"(acc_18), "+f"(acc_19), "+f"(acc_20), "+f"(acc_21), "+f"(acc_22), "+f"(acc_23), "+f"(acc_24), "+f"(acc_25), "+f"(acc_26), "+f"(acc_27), "+f"(acc_28), "+f"(acc_29), "+f"(acc_30), "+f"(acc_31) : "l"(tile_address(aStage, (4096 * k4 + 48))), "l"(tile_address(bStage, (4096 * k4 + 48))));
asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;" : "+f"(acc_32), "+f"(acc_33), "+f"(acc_34), "+f"(acc_35), "+f"(acc_36), "+f"(acc_37), "+f"(acc_38), "+f"(acc_39), "+f"(acc_40), "+f"(acc_41), "+f"(acc_42), "+f"(acc_43), "+f"(acc_44), "+f"(acc_45), "+f"(acc_46), "+f"(acc_47), "+f"(acc_48), "+f"(acc_49), "+f"(acc_50), "+f"(acc_51), "+f"(acc_52), "+f"(acc_53), "+f"(acc_54), "+f"(acc_55), "+f"(acc_56), "+f"(acc_57), "+f"(acc_58), "+f"(acc_59), "+f"(acc_60), "+f"(acc_61), "+f"(acc_62), "+f"(acc_63) : "l"(tile_address(aStage, (4096 * k4 + 48))), "l"(tile_address(bStage1, (4096 * k4 + 48))));
asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
if (0 < k4) {
if ((ix)((u32)(worker) % (u32)(32)) < 1) {
signal_arrive(empty + (ix)((u32)((k4 + 3)) % (u32)(4)));
}
}
}
asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)))) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_0 / (expf(((float)-acc_0)) + 1.0f)))) * acc_32), (widen_bf16(narrow_bf16((acc_1 / (expf(((float)-acc_1)) + 1.0f)))) * acc_33))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 576)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_2 / (expf(((float)-acc_2)) + 1.0f)))) * acc_34), (widen_bf16(narrow_bf16((acc_3 / (expf(((float)-acc_3)) + 1.0f)))) * acc_35))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 8)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_4 / (expf(((float)-acc_4)) + 1.0f)))) * acc_36), (widen_bf16(narrow_bf16((acc_5 / (expf(((float)-acc_5)) + 1.0f)))) * acc_37))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 584)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_6 / (expf(((float)-acc_6)) + 1.0f)))) * acc_38), (widen_bf16(narrow_bf16((acc_7 / (expf(((float)-acc_7)) + 1.0f)))) * acc_39))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 16)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_8 / (expf(((float)-acc_8)) + 1.0f)))) * acc_40), (widen_bf16(narrow_bf16((acc_9 / (expf(((float)-acc_9)) + 1.0f)))) * acc_41))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 592)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_10 / (expf(((float)-acc_10)) + 1.0f)))) * acc_42), (widen_bf16(narrow_bf16((acc_11 / (expf(((float)-acc_11)) + 1.0f)))) * acc_43))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 24)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_12 / (expf(((float)-acc_12)) + 1.0f)))) * acc_44), (widen_bf16(narrow_bf16((acc_13 / (expf(((float)-acc_13)) + 1.0f)))) * acc_45))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 600)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_14 / (expf(((float)-acc_14)) + 1.0f)))) * acc_46), (widen_bf16(narrow_bf16((acc_15 / (expf(((float)-acc_15)) + 1.0f)))) * acc_47))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 32)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_16 / (expf(((float)-acc_16)) + 1.0f)))) * acc_48), (widen_bf16(narrow_bf16((acc_17 / (expf(((float)-acc_17)) + 1.0f)))) * acc_49))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 608)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_18 / (expf(((float)-acc_18)) + 1.0f)))) * acc_50), (widen_bf16(narrow_bf16((acc_19 / (expf(((float)-acc_19)) + 1.0f)))) * acc_51))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 40)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_20 / (expf(((float)-acc_20)) + 1.0f)))) * acc_52), (widen_bf16(narrow_bf16((acc_21 / (expf(((float)-acc_21)) + 1.0f)))) * acc_53))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 616)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_22 / (expf(((float)-acc_22)) + 1.0f)))) * acc_54), (widen_bf16(narrow_bf16((acc_23 / (expf(((float)-acc_23)) + 1.0f)))) * acc_55))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 48)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_24 / (expf(((float)-acc_24)) + 1.0f)))) * acc_56), (widen_bf16(narrow_bf16((acc_25 / (expf(((float)-acc_25)) + 1.0f)))) * acc_57))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 624)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_26 / (expf(((float)-acc_26)) + 1.0f)))) * acc_58), (widen_bf16(narrow_bf16((acc_27 / (expf(((float)-acc_27)) + 1.0f)))) * acc_59))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 56)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_28 / (expf(((float)-acc_28)) + 1.0f)))) * acc_60), (widen_bf16(narrow_bf16((acc_29 / (expf(((float)-acc_29)) + 1.0f)))) * acc_61))}};
*(vec<u32, 1>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(4))) % (u32)(8)) + 2 * (ix)((u32)(worker) % (u32)(4)) + 632)) = {{narrow2_bf16((widen_bf16(narrow_bf16((acc_30 / (expf(((float)-acc_30)) + 1.0f)))) * acc_62), (widen_bf16(narrow_bf16((acc_31 / (expf(((float)-acc_31)) + 1.0f)))) * acc_63))}};
__syncwarp();
const vec<u16, 8> t_0 = *(const vec<u16, 8>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4))));
*(vec<u32, 4>*)(out0 + (16384 * (ix)((u32)(pid) / (u32)(4)) + 4096 * (ix)((u32)(worker) / (u32)(32)) + 64 * (ix)((u32)(pid) % (u32)(4)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 256 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)))) = {{narrow2_bf16(widen_bf16(t_0.v[0]), widen_bf16(t_0.v[1])), narrow2_bf16(widen_bf16(t_0.v[2]), widen_bf16(t_0.v[3])), narrow2_bf16(widen_bf16(t_0.v[4]), widen_bf16(t_0.v[5])), narrow2_bf16(widen_bf16(t_0.v[6]), widen_bf16(t_0.v[7]))}};
const vec<u16, 8> t_1 = *(const vec<u16, 8>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 288));
*(vec<u32, 4>*)(out0 + (16384 * (ix)((u32)(pid) / (u32)(4)) + 4096 * (ix)((u32)(worker) / (u32)(32)) + 64 * (ix)((u32)(pid) % (u32)(4)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 256 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 1024)) = {{narrow2_bf16(widen_bf16(t_1.v[0]), widen_bf16(t_1.v[1])), narrow2_bf16(widen_bf16(t_1.v[2]), widen_bf16(t_1.v[3])), narrow2_bf16(widen_bf16(t_1.v[4]), widen_bf16(t_1.v[5])), narrow2_bf16(widen_bf16(t_1.v[6]), widen_bf16(t_1.v[7]))}};
const vec<u16, 8> t_2 = *(const vec<u16, 8>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 576));
*(vec<u32, 4>*)(out0 + (16384 * (ix)((u32)(pid) / (u32)(4)) + 4096 * (ix)((u32)(worker) / (u32)(32)) + 64 * (ix)((u32)(pid) % (u32)(4)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 256 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 2048)) = {{narrow2_bf16(widen_bf16(t_2.v[0]), widen_bf16(t_2.v[1])), narrow2_bf16(widen_bf16(t_2.v[2]), widen_bf16(t_2.v[3])), narrow2_bf16(widen_bf16(t_2.v[4]), widen_bf16(t_2.v[5])), narrow2_bf16(widen_bf16(t_2.v[6]), widen_bf16(t_2.v[7]))}};
const vec<u16, 8> t_3 = *(const vec<u16, 8>*)(corners + (1152 * (ix)((u32)(worker) / (u32)(32)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 72 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 864));
*(vec<u32, 4>*)(out0 + (16384 * (ix)((u32)(pid) / (u32)(4)) + 4096 * (ix)((u32)(worker) / (u32)(32)) + 64 * (ix)((u32)(pid) % (u32)(4)) + 8 * (ix)((u32)(worker) % (u32)(8)) + 256 * (ix)((u32)((ix)((u32)(worker) / (u32)(8))) % (u32)(4)) + 3072)) = {{narrow2_bf16(widen_bf16(t_3.v[0]), widen_bf16(t_3.v[1])), narrow2_bf16(widen_bf16(t_3.v[2]), widen_bf16(t_3.v[3])), narrow2_bf16(widen_bf16(t_3.v[4]), widen_bf16(t_3.v[5])), narrow2_bf16(widen_bf16(t_3.v[6]), widen_bf16(t_3.v[7]))}};
__syncwarp();
} else {
if (tid == 128) {
#pragma unroll 1
for (ix k4 = 0; k4 < 4; k4++) {
signal_expect(full + k4, 24576);
copy_tile(aStage + 4096 * k4, &in1_map, 64 * k4, 64 * (ix)((u32)(pid) / (u32)(4)), full + k4);
copy_tile(bStage + 4096 * k4, &in0_map, 64 * k4, 64 * (ix)((u32)(pid) % (u32)(4)), full + k4);
copy_tile(bStage1 + 4096 * k4, &in2_map, 64 * k4, 64 * (ix)((u32)(pid) % (u32)(4)), full + k4);
}
}
}
}

/** The CUDA functions that generated kernels call; a compilation unit gets those that its kernels name. */
import type { DType } from "../../core/dtype.js";
import type { Parts } from "../../kernel/parts.js";

/** The CUDA word of a storage dtype. */
export const word: Readonly<Record<DType, string>> = {
  bool: "u8",
  u8: "u8",
  u16: "u16",
  u32: "u32",
  u64: "u64",
  i8: "i8",
  i16: "i16",
  i32: "i32",
  i64: "i64",
  f16: "u16",
  bf16: "u16",
  f32: "float",
  f64: "double",
  complex64: "float",
};

const list: [string, string][] = [];
const part = (name: string, text: string): void => {
  list.push([name, text]);
};
const fn = (name: string, text: string): void => part(name, `inline_ ${text}`);
const template = (name: string, parameters: string, text: string): void => part(name, `template<${parameters}> inline_ ${text}`);

part("inline_", "#define inline_ __device__ __forceinline__");
for (const [name, c] of Object.entries({
  u8: "unsigned char",
  u16: "unsigned short",
  u32: "unsigned",
  u64: "unsigned long long",
  i8: "signed char",
  i16: "short",
  i32: "int",
  i64: "long long",
}))
  part(name, `typedef ${c} ${name};`);
part("infinity", "#define infinity __int_as_float(0x7f800000)");
part("not_a_number", "#define not_a_number __int_as_float(0x7fc00000)");
part("vec", "template<class T, int N> struct alignas(sizeof(T) * N) vec { T v[N]; };");

// Storage of half floats. Conversions round to nearest, half to even.
fn("widen_bf16", "float widen_bf16(u16 x) { return __uint_as_float((u32)x << 16); }");
fn("narrow_bf16", 'u16 narrow_bf16(float x) { u16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }');
fn(
  "narrow2_bf16",
  'u32 narrow2_bf16(float a, float b) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a)); return r; }',
);
fn("widen_f16", 'float widen_f16(u16 x) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x)); return r; }');
fn("narrow_f16", 'u16 narrow_f16(float x) { u16 r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }');
fn("narrow2_f16", "u32 narrow2_f16(float a, float b) { return narrow_f16(a) | (u32)narrow_f16(b) << 16; }");

fn("exp2near_", 'float exp2near_(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }');
// The square of 2^(x log2(e) / 2), which is normal wherever e^x is not 0: nothing is flushed on the way.
fn("expnear_", "float expnear_(float x) { const float r = exp2near_(x * 0.7213475204444817f); return r * r; }");

// Positions.
template("floor_div", "class T", "T floor_div(T a, T b) { T q = a / b; return q - (q * b > a); }");
template("floor_mod", "class T", "T floor_mod(T a, T b) { T r = a % b; return r < 0 ? r + b : r; }");
template("least", "class T", "T least(T a, T b) { return a < b ? a : b; }");
template("most", "class T", "T most(T a, T b) { return a > b ? a : b; }");

// Arithmetic. max and min keep NaN; division by zero gives the dividend and leaves 0; far shifts move everything out.
const nanInstruction = (name: string): string =>
  `\n#if __CUDA_ARCH__ >= 800\ntemplate<> inline_ float ${name}_<float>(float a, float b) { float r; asm("${name}.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }\n#endif`;
template("max_", "class T", `T max_(T a, T b) { return a > b || a != a ? a : b; }${nanInstruction("max")}`);
template("min_", "class T", `T min_(T a, T b) { return a < b || a != a ? a : b; }${nanInstruction("min")}`);
template("abs_", "class T", "T abs_(T a) { return a < 0 ? (T)-a : a; }");
template("div_", "class T", "T div_(T a, T b) { return b == 0 ? a : (T)-1 < (T)0 && b == (T)-1 ? (T)(0 - (u64)a) : (T)(a / b); }");
template("rem_", "class T", "T rem_(T a, T b) { return b == 0 || ((T)-1 < (T)0 && b == (T)-1) ? (T)0 : (T)(a % b); }");
template("shl_", "class T", "T shl_(T a, T b) { return b < 0 || b >= (T)(sizeof(T) * 8) ? (T)0 : (T)((u64)a << b); }");
template(
  "shr_",
  "class T",
  "T shr_(T a, T b) { return b < 0 || b >= (T)(sizeof(T) * 8) ? (T)((T)-1 < (T)0 && a < 0 ? -1 : 0) : (T)(a >> b); }",
);
template(
  "pow_",
  "class T",
  "T pow_(T a, T b) { if (b < 0) return a == 1 ? 1 : a == (T)-1 ? (b & 1 ? -1 : 1) : 0; u64 r = 1, p = (u64)a; for (; b; b = (T)(b >> 1)) { if (b & 1) r *= p; p *= p; } return (T)r; }",
);
// Modulo 2^64 of the truncated value; NaN and infinities give 0.
fn(
  "wrap_",
  "i64 wrap_(double a) { if (fabs(a) < 9223372036854775808.0) return (i64)a; if (!(fabs(a) < (double)infinity)) return 0; double r = fmod(a, 18446744073709551616.0); return r < 0 ? (i64)(0 - (u64)-r) : (i64)(u64)r; }",
);
template(
  "to_int",
  "class T, class F",
  "T to_int(F a) { return sizeof(T) < 8 && fabs(a) < (F)2147483648.0 ? (T)(int)a : (T)wrap_((double)a); }",
);

// Reductions over neighbouring threads.
part("op_add", "struct op_add { template<class T> inline_ T operator()(T a, T b) const { return a + b; } };");
part("op_mul", "struct op_mul { template<class T> inline_ T operator()(T a, T b) const { return a * b; } };");
part("op_max", "struct op_max { template<class T> inline_ T operator()(T a, T b) const { return max_(a, b); } };");
part("op_min", "struct op_min { template<class T> inline_ T operator()(T a, T b) const { return min_(a, b); } };");
part("op_or", "struct op_or { template<class T> inline_ T operator()(T a, T b) const { return a | b; } };");
part("op_and", "struct op_and { template<class T> inline_ T operator()(T a, T b) const { return a & b; } };");
template("shuffle_", "class T", "T shuffle_(u32 all, T x, int by) { return __shfl_xor_sync(all, x, by); }");
template(
  "warp_combine",
  "class Op, int N, int All, class T",
  "T warp_combine(T x) { for (int o = N / 2; o; o >>= 1) x = Op()(x, shuffle_(All < 32 ? (1u << (All & 31)) - 1 : ~0u, x, o)); return x; }",
);
// Whole warps: each warp reduces, then each reduces what the warps of its group left, a lane for each of them where their number allows.
template(
  "block_combine",
  "class Op, int N, int All, class T",
  "T block_combine(T x) { __shared__ T part[All / 32]; const int t = threadIdx.x; x = warp_combine<Op, 32, All>(x); __syncthreads(); if (t % 32 == 0) part[t / 32] = x; __syncthreads(); " +
    "const int first = t / N * (N / 32); if ((N / 32 & (N / 32 - 1)) == 0) return warp_combine<Op, N / 32, 32>(part[first + t % (N / 32)]); " +
    "T r = part[first]; for (int i = 1; i < N / 32; i++) r = Op()(r, part[first + i]); return r; }",
);
// Any number of threads.
template(
  "group_combine",
  "class Op, int N, int All, class T",
  "T group_combine(T x) { __shared__ T part[All]; const int t = threadIdx.x; __syncthreads(); part[t] = x; __syncthreads(); const int first = t / N * N; T r = part[first]; for (int i = 1; i < N; i++) r = Op()(r, part[first + i]); return r; }",
);

// Atomics: compare and swap, for all operations on 4 and 8 bytes.
part("word_of", "template<int N> struct word_of { typedef u32 type; }; template<> struct word_of<8> { typedef u64 type; };");
template(
  "atomic_",
  "class Op, class T",
  "void atomic_(T* p, T x) { typedef typename word_of<sizeof(T)>::type W; W old = *(volatile W*)p, seen; do { seen = old; T a; memcpy(&a, &seen, sizeof a); a = Op()(a, x); W now; memcpy(&now, &a, sizeof a); old = atomicCAS((W*)p, seen, now); } while (old != seen); }",
);
template("atomic_add", "class T", "void atomic_add(T* p, T x) { atomicAdd(p, x); }");
part("atomic_add_i64", "inline_ void atomic_add_i64(i64* p, i64 x) { atomicAdd((u64*)p, (u64)x); }");

// Shared memory and background copies.
fn("shared_address", "u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }");
fn(
  "copy_16",
  'void copy_16(void* to, const void* from) { asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(shared_address(to)), "l"(from)); }',
);
fn(
  "copy_8",
  'void copy_8(void* to, const void* from) { asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" :: "r"(shared_address(to)), "l"(from)); }',
);
fn(
  "copy_4",
  'void copy_4(void* to, const void* from) { asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(shared_address(to)), "l"(from)); }',
);
template("copy_each", "class T", "void copy_each(T* to, const T* from, int n) { for (int i = 0; i < n; i++) to[i] = from[i]; }");
template("landed", "int N", 'void landed() { asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory"); }');
// What copies wrote must be seen by matrix units that read shared memory in the background.
template(
  "landed_for_units",
  "int N",
  'void landed_for_units() { landed<N>(); asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }',
);
// Launches that begin early.
fn("release_dependents", 'void release_dependents() { asm volatile("griddepcontrol.launch_dependents;"); }');
fn("await_dependencies", 'void await_dependencies() { asm volatile("griddepcontrol.wait;" ::: "memory"); }');
// Fragments of matrix units: one warp, operands in registers.
for (const [input, k, named] of [
  ["bf16", 16, "bf16"],
  ["f16", 16, "f16"],
  ["f32", 8, "tf32"],
] as const)
  fn(
    `mma_16x8x${k}_${input}`,
    `void mma_16x8x${k}_${input}(float& c0, float& c1, float& c2, float& c3, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) { asm("mma.sync.aligned.m16n8k${k}.row.col.f32.${named}.${named}.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1)); }`,
  );
for (const turned of ["", "_turned"])
  fn(
    `fetch_4${turned}`,
    `void fetch_4${turned}(u32& a, u32& b, u32& c, u32& d, const void* p) { asm volatile("ldmatrix.sync.aligned.m8n8.x4${turned && ".trans"}.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(shared_address(p)) : "memory"); }`,
  );
fn("ask_for", 'void ask_for(const void* p) { asm volatile("prefetch.global.L2 [%0];" :: "l"(p)); }');
fn(
  "ask_for_all",
  'void ask_for_all(const void* p, int bytes) { asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(p), "r"(bytes)); }',
);
part("tile_map", "struct alignas(64) tile_map { char bytes[128]; };");
fn(
  "signal_arm",
  'void signal_arm(u64* s, int n) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(s)), "r"(n)); asm volatile("fence.mbarrier_init.release.cluster;"); }',
);
fn(
  "signal_expect",
  'void signal_expect(u64* s, int bytes) { asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(shared_address(s)), "r"(bytes) : "memory"); }',
);
fn(
  "signal_arrive",
  'void signal_arrive(u64* s) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(shared_address(s)) : "memory"); }',
);
fn(
  "signal_await",
  'void signal_await(u64* s, int phase) { asm volatile("{ .reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @p bra done; bra again; done: }" :: "r"(shared_address(s)), "r"(phase) : "memory"); }',
);
fn(
  "copy_tile",
  'void copy_tile(void* to, const tile_map* map, int column, int row, u64* s) { asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" :: "r"(shared_address(to)), "l"(map), "r"(shared_address(s)), "r"(column), "r"(row) : "memory"); }',
);
// Where a tile lies for a matrix unit, `i` half floats behind a buffer's start: rows of 128 bytes, their 16-byte pieces exchanged, eight rows 1,024 bytes apart.
fn("tile_address", "u64 tile_address(const void* p, int i) { return 0x4000004000010000ull + ((shared_address(p) >> 4) + (u32)(i >> 3)); }");

/** Every function, in an order that compiles. */
export const parts: Parts = new Map(list);

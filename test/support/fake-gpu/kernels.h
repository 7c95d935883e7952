// What CUDA text needs to run as C++ on a CPU: one block at a time, its threads as fibers that change at barriers.
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#define __device__
#define __forceinline__ inline
#define __global__
#define __shared__ static
#define __align__(n)
#define __launch_bounds__(...)
#define __grid_constant__
#define PTX(...)
struct uint4 { unsigned x, y, z, w; };
static struct { unsigned x; } threadIdx, blockIdx;
unsigned char smem[256 << 10] __attribute__((aligned(1024)));
static inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
static inline unsigned __float_as_uint(float x) { return __float_as_int(x); }
static inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }
static inline float __uint_as_float(unsigned x) { return __int_as_float(x); }
static inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
static inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
static inline size_t __cvta_generic_to_shared(const void* p) { return (size_t)p; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
static inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
template<class T> static inline T atomicAdd(T* p, T x) { T old = *p; *p = old + x; return old; }
template<class T> static inline T atomicCAS(T* p, T seen, T now) { T old = *p; if (old == seen) *p = now; return old; }

namespace fake {
// A fiber begins in a context; from then on it changes places by jumps, which ask the system for nothing.
struct Fiber { ucontext_t context; jmp_buf at; bool begun, done; char* stack; };
static Fiber fibers[1024];
static ucontext_t origin;
static jmp_buf home;
static int threads = 1, me;
static void (*body)(void**);
static void** arguments;
struct Barrier { int arrived, turn; };
static Barrier block, warps[32];
/** What lanes exchange lies in two places by turns: who writes the next has met all that read the last but one. */
static uint64_t lanes[2][1024];
static int turns[3][1024];
static int turn(int what) { return turns[what][me]++ & 1; }
static void meet(Barrier& b, int count) {
  const int turn = b.turn;
  if (++b.arrived == count) { b.arrived = 0; b.turn++; return; }
  while (b.turn == turn) if (!_setjmp(fibers[me].at)) _longjmp(home, 1);
}
static int warpSize() { const int first = me / 32 * 32; return threads - first < 32 ? threads - first : 32; }
static void enter() { body(arguments); fibers[me].done = true; _longjmp(home, 1); }
/** Lets a thread go on until it waits or ends. */
static void go(int t) {
  threadIdx.x = me = t;
  Fiber& x = fibers[t];
  if (_setjmp(home)) return;
  if (x.begun) _longjmp(x.at, 1);
  x.begun = true;
  swapcontext(&origin, &x.context);
}
static void run(void (*f)(void**), void** args, int grid, int count, bool meets) {
  body = f, arguments = args, threads = count;
  for (int p = 0; p < grid; p++) {
    blockIdx.x = p;
    if (!meets) { for (int t = 0; t < count; t++) { threadIdx.x = me = t; f(args); } continue; }
    block = Barrier(); for (auto& w : warps) w = Barrier();
    memset(turns, 0, sizeof turns);
    const size_t size = 256 << 10;
    for (int t = 0; t < count; t++) {
      Fiber& x = fibers[t];
      if (!x.stack) x.stack = (char*)malloc(size);
      getcontext(&x.context);
      x.context.uc_stack.ss_sp = x.stack, x.context.uc_stack.ss_size = size, x.context.uc_link = 0, x.begun = x.done = false;
      makecontext(&x.context, enter, 0);
    }
    for (int left = count; left;) {
      left = 0;
      for (int t = 0; t < count; t++) if (!fibers[t].done) { go(t); left += !fibers[t].done; }
    }
  }
}
}
static inline void __syncthreads() { fake::meet(fake::block, fake::threads); }
static inline void __syncwarp() { fake::meet(fake::warps[fake::me / 32], fake::warpSize()); }
template<class T> static inline T __shfl_xor_sync(unsigned, T x, int by) {
  auto& at = fake::lanes[fake::turn(0)];
  memcpy(&at[fake::me], &x, sizeof x);
  __syncwarp();
  T r; memcpy(&r, &at[fake::me ^ by], sizeof r);
  return r;
}
namespace fake {
static inline unsigned short narrow_bf16(float x) { unsigned b = __float_as_uint(x); return x != x ? b >> 16 | 64 : (b + 0x7fff + (b >> 16 & 1)) >> 16; }
static inline float widen_bf16(unsigned short x) { return __uint_as_float((unsigned)x << 16); }
static inline float widen_f16(unsigned short x) { _Float16 h; memcpy(&h, &x, 2); return h; }
static inline unsigned short narrow_f16(float x) { _Float16 h = x; unsigned short r; memcpy(&r, &h, 2); return r; }
// Matrix units: what each lane of a warp holds is put on a table, and each takes what it needs (PTX ISA, mma.m16n8k16 and ldmatrix).
static float table[2][32][32][12];
template<float widen(unsigned short)> static __attribute__((noinline, optimize("O2"))) void mma(float* c, const unsigned* a, const unsigned* b) {
  const int lane = me % 32;
  auto& t = table[turn(1)][me / 32];
  for (int w = 0; w < 6; w++) for (int i = 0; i < 2; i++) t[lane][2 * w + i] = widen((w < 4 ? a[w] : b[w - 4]) >> 16 * i & 0xffff);
  __syncwarp();
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
    float sum = 0;
    for (int k = 0; k < 16; k++) {
      const int from = k % 8 / 2, part = k / 8;
      sum += t[row % 8 * 4 + from][2 * (row / 8 + 2 * part) + k % 2] * t[column * 4 + from][2 * (4 + part) + k % 2];
    }
    c[i] += sum;
  }
}
static const void* rows[2][32][32];
static __attribute__((noinline, optimize("O2"))) void fetch(unsigned* to, const void* p, bool turned) {
  const int lane = me % 32;
  auto& r = rows[turn(2)][me / 32];
  r[lane] = p;
  __syncwarp();
  for (int i = 0; i < 4; i++) {
    unsigned short v[2];
    for (int j = 0; j < 2; j++) {
      const int row = turned ? lane % 4 * 2 + j : lane / 4, column = turned ? lane / 4 : lane % 4 * 2 + j;
      v[j] = ((const unsigned short*)r[8 * i + row])[column];
    }
    to[i] = v[0] | (unsigned)v[1] << 16;
  }
}
}

/* What this machine can do: copy and read bandwidth over 512 MiB, and peak rates of multiply-add in f32 and bf16, on all cores.
   Prints one JSON line. The best of several runs counts: these are limits, not averages.
   With a second and third argument ("read" or "copy", and bytes) it moves so many bytes whenever a line asks for some calls, and answers
   with the seconds that a call took: a bandwidth that is measured in turn with what it is compared with. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(64)));
typedef void (*work_t)(int part, int parts);
static char *a, *b;
static long long size = 256ll << 20; /* bytes of each of two buffers */
static volatile float sink;
static long long flops; /* of one part of the last rate */

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

static void copy(int part, int parts) {
  long long n = size / parts / 4096 * 4096, from = part * n;
#if defined(__AVX512F__)
  for (long long i = from; i < from + n; i += 64) _mm512_stream_si512((__m512i*)(b + i), _mm512_load_si512((const __m512i*)(a + i)));
  _mm_sfence();
#elif defined(__AVX2__)
  for (long long i = from; i < from + n; i += 32) _mm256_stream_si256((__m256i*)(b + i), _mm256_load_si256((const __m256i*)(a + i)));
  _mm_sfence();
#else
  memcpy(b + from, a + from, n);
#endif
}
static void read_all(int part, int parts) {
  long long n = size / parts / 4096 * 4096, from = part * n;
  vec s[8];
  memset(s, 0, sizeof s);
  for (int k = 0; k < 2; k++) {
    const char* p = (k ? b : a) + from;
    for (long long i = 0; i < n; i += 512)
      for (int j = 0; j < 8; j++) s[j] += *(const vec*)(p + i + j * 64);
  }
  for (int j = 1; j < 8; j++) s[0] += s[j];
  sink = s[0][0];
}
/* Sixteen independent chains of multiply-adds hide the latency of every core so far; each is a variable, so that it stays in a register. */
#define CHAINS 16
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
static void peak_f32(int part, int parts) {
  (void)part, (void)parts;
  const long long steps = 4 << 20;
  vec x, y;
  for (int l = 0; l < 16; l++) { x[l] = 1 - 1e-6f * l; y[l] = 1e-7f; }
#define START(j) vec s##j = y * j;
#define STEP(j) s##j = s##j * x + y;
#define SUM(j) x += s##j;
  EACH(START)
  for (long long i = 0; i < steps; i++) { EACH(STEP) }
  EACH(SUM)
  sink = x[0];
  flops = steps * CHAINS * 16 * 2;
}
static const char* bf16_unit = "none";
#if defined(__AMX_BF16__)
static void peak_bf16(int part, int parts) {
  (void)part, (void)parts;
  const long long steps = 1 << 20;
  _Alignas(64) uint8_t config[64] = { 1 };
  for (int t = 0; t < 8; t++) { config[48 + t] = 16; ((uint16_t*)(config + 16))[t] = 64; }
  __asm__ volatile("" ::"r"(config) : "memory"); /* GCC 12 sees only the first bytes of what loadconfig reads */
  _tile_loadconfig(config);
  _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
  for (long long i = 0; i < steps; i++) {
    _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  flops = steps * 4 * 16 * 16 * 32 * 2;
  bf16_unit = "amx";
}
#elif defined(__AVX512BF16__)
static void peak_bf16(int part, int parts) {
  (void)part, (void)parts;
  const long long steps = 4 << 20;
  __m512 sum = _mm512_setzero_ps();
  __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f)), y = x;
#define START16(j) __m512 s##j = _mm512_set1_ps(j);
#define STEP16(j) s##j = _mm512_dpbf16_ps(s##j, x, y);
#define SUM16(j) sum = _mm512_add_ps(sum, s##j);
  EACH(START16)
  for (long long i = 0; i < steps; i++) { EACH(STEP16) }
  EACH(SUM16)
  sink = _mm512_cvtss_f32(sum);
  flops = steps * CHAINS * 32 * 2;
  bf16_unit = "avx512_bf16";
}
#else
/* No instruction for bf16: its rate is that of f32. */
static void peak_bf16(int part, int parts) { peak_f32(part, parts); }
#endif

typedef struct { work_t work; int part, parts, rounds; pthread_barrier_t* barrier; double best; } job_t;
static void* run(void* arg) {
  job_t* j = arg;
  for (int r = 0; r < j->rounds; r++) {
    pthread_barrier_wait(j->barrier);
    double start = now();
    j->work(j->part, j->parts);
    pthread_barrier_wait(j->barrier);
    double seconds = now() - start;
    if (r == 0 || seconds < j->best) j->best = seconds;
  }
  return 0;
}
static double best(work_t work, int parts, int rounds) {
  pthread_t threads[256];
  job_t jobs[256];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, 0, parts);
  for (int i = 0; i < parts; i++) {
    jobs[i] = (job_t){ work, i, parts, rounds, &barrier, 0 };
    if (i) pthread_create(&threads[i], 0, run, &jobs[i]);
  }
  run(&jobs[0]);
  for (int i = 1; i < parts; i++) pthread_join(threads[i], 0);
  pthread_barrier_destroy(&barrier);
  return jobs[0].best;
}

/* Threads of a served measurement begin together, and meet between calls without going to sleep, as those of a pool do. */
static struct { work_t work; int parts; pthread_barrier_t begin; _Atomic int calls; _Atomic long long arrived; } served;
static void meet(long long round) {
  atomic_fetch_add(&served.arrived, 1);
  while (atomic_load(&served.arrived) < round * served.parts) { }
}
static double together(int part, long long* round) {
  pthread_barrier_wait(&served.begin);
  int calls = atomic_load(&served.calls);
  meet(++*round);
  double start = now();
  for (int i = 0; i < calls; i++) {
    served.work(part, served.parts);
    meet(++*round);
  }
  return (now() - start) / calls;
}
#if defined(__linux__)
static cpu_set_t allowed;
#endif
/* Each on its own processor, as a pool's threads are: one that is put behind another would leave half of the machine idle. */
static void pin(int part) {
#if defined(__linux__)
  if (CPU_COUNT(&allowed) != served.parts) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int c = 0, k = 0; c < CPU_SETSIZE; c++) if (CPU_ISSET(c, &allowed) && k++ == part) CPU_SET(c, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
#else
  (void)part;
#endif
}
static void* helper(void* arg) {
  int part = (int)(intptr_t)arg;
  pin(part);
  for (long long round = 0; served.parts;) together(part, &round);
  return 0;
}
static int serve(work_t work, int parts) {
  served.work = work;
  served.parts = parts;
  pthread_barrier_init(&served.begin, 0, parts);
#if defined(__linux__)
  sched_getaffinity(getpid(), sizeof allowed, &allowed);
#endif
  pin(0);
  pthread_t thread;
  for (int i = 1; i < parts; i++) if (pthread_create(&thread, 0, helper, (void*)(intptr_t)i)) return 1;
  printf("{\"ready\":1}\n");
  fflush(stdout);
  long long round = 0;
  int calls;
  while (scanf(" {\"calls\":%d}", &calls) == 1) {
    atomic_store(&served.calls, calls);
    printf("{\"seconds\":%.9g}\n", together(0, &round));
    fflush(stdout);
  }
  return 0;
}
int main(int argc, char** argv) {
  int cores = argc > 1 ? atoi(argv[1]) : 1;
  if (cores < 1 || cores > 256) return 2;
  int reads = argc > 3 && !strcmp(argv[2], "read");
  if (argc > 3) size = atoll(argv[3]) / 2;
  if (posix_memalign((void**)&a, 2 << 20, size) || posix_memalign((void**)&b, 2 << 20, size)) return 1;
#if defined(MADV_HUGEPAGE)
  madvise(a, size, MADV_HUGEPAGE);
  madvise(b, size, MADV_HUGEPAGE);
#endif
  /* Values from 1 to 2 that differ: some processors copy zeros a quarter faster, and add denormal numbers slowly. */
  for (long long i = 0; i < size / 4; i++) ((uint32_t*)a)[i] = ((uint32_t*)b)[i] = ((uint32_t)i * 2654435761u >> 9) | 0x3f800000;
#if defined(__AMX_BF16__) && defined(__linux__)
  syscall(SYS_arch_prctl, 0x1023, 18); /* asks for the matrix tiles */
#endif
  if (argc > 3) return serve(reads ? read_all : copy, cores);
  double c = best(copy, cores, 8), r = best(read_all, cores, 6);
  double f = best(peak_f32, cores, 3);
  double f32 = flops * (double)cores / f;
  double h = best(peak_bf16, cores, 3);
  double bf16 = flops * (double)cores / h;
  printf("{\"copy\":%.4g,\"read\":%.4g,\"f32\":%.4g,\"bf16\":%.4g,\"bf16Unit\":\"%s\"}\n", 2 * size / c, 2 * size / r, f32, bf16, bf16_unit);
  return 0;
}

import { productSource } from "./multiply.js";

/** Requests that may be under way: each has its own four words of the control block. */
export const slots = 1024;

/**
 * The native half of the device, as C text: memory, the thread pool, and the loop that walks a program's steps. It is compiled once
 * and cached like the kernels.
 *
 * Programs are handed over as requests, each with its own copy of its table. Thread 0 of the pool runs them one after another, so that
 * the pool goes from one to the next while nobody waits; what is short and alone runs on the thread that asks.
 *
 * A program is a table of 64-bit words, one record per launch: [words, kernel, grid, beside, count of dims, dims..., argument
 * addresses...]. Launches marked `beside` run side by side with those before them: together they are one region, after which all
 * threads meet. A region's points are handed out as tickets, runs of points of about equal number in each launch. Each thread has a share
 * of them, the same one in every call, so that it meets again what its own caches hold; it takes part of what is left of it, never less
 * than one ticket, and then part of what is left of the others' shares, so tails balance. A thread that sleeps or was never scheduled takes
 * nothing and is not waited for.
 */
export const poolSource: string = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ __volatile__("yield")
#else
#define PAUSE() ((void)0)
#endif

typedef void (*kernel_t)(void* const* args, const long long* dims, long long begin, long long end, char* scratch);
typedef struct { const int64_t* first; long long tickets; } job_t;   /* the records of a region, and their tickets together */
typedef struct pool pool_t;
typedef struct {
  _Alignas(128) _Atomic long long left;      /* tickets of its share of the current region that nobody has taken */
  pool_t* pool; char* scratch; long long scratch_bytes; pthread_t thread;
} worker_t;
typedef struct request { struct request* next; int64_t words, scratch, ticket, table[]; } request_t;
struct pool {
  job_t job;
  _Alignas(128) _Atomic long long regions;   /* how many have begun */
  _Alignas(128) _Atomic long long finished;  /* tickets of the current one that have run */
  _Alignas(128) _Atomic int sleepers;
  _Atomic int stop, busy;
  _Atomic long long completed;               /* ticket of the last request that ended */
  _Atomic int failed;
  double* control;                           /* for each request under way: its abort flag, launches, nanoseconds, result */
  volatile int32_t* abort_flag;              /* of the request that runs */
  pthread_mutex_t lock;
  pthread_cond_t work, asked, ended;
  request_t *first, **last;                  /* requests that have not begun */
  long long awaited;                         /* the first ticket that somebody waits for */
  int threads;
  long long scratch_bytes;
  worker_t workers[];
};

static int64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

void* tp_alloc(int64_t bytes) {
  void* p = 0;
  size_t align = bytes >= (2 << 20) ? (size_t)2 << 20 : 64;
  if (posix_memalign(&p, align, (size_t)bytes)) return 0;
#if defined(MADV_HUGEPAGE)
  if (bytes >= (2 << 20)) madvise(p, (size_t)bytes, MADV_HUGEPAGE);
#endif
  return p;
}
void tp_free(void* p) { free(p); }
/* A file, read only, from its first byte. Where the system can, it is read ahead in huge pages. */
void* tp_map(int32_t fd, int64_t bytes) {
  void* p = mmap(0, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return 0;
#if defined(MADV_HUGEPAGE)
  madvise(p, (size_t)bytes, MADV_HUGEPAGE);
#endif
  madvise(p, (size_t)bytes, MADV_WILLNEED);
  return p;
}
void tp_unmap(void* p, int64_t bytes) { munmap(p, (size_t)bytes); }
/* Lets go of the whole pages of a part of a file: reading them again brings them back. */
void tp_forget(char* p, int64_t bytes) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)p + page - 1) / page * page, to = ((uintptr_t)p + (uintptr_t)bytes) / page * page;
  if (to > from) madvise((void*)from, to - from, MADV_DONTNEED);
}
/* Touches every page, so that kernels find them in place; ends early where the flag is set. */
int32_t tp_touch(const char* p, int64_t bytes, volatile int32_t* stop) {
  long page = sysconf(_SC_PAGESIZE);
  int32_t sum = 0;
  for (int64_t at = 0; at < bytes && !*stop; at += page) sum += *(volatile const char*)(p + at);
  return sum;
}
void tp_fill(void* to, int32_t byte, int64_t bytes) { if (bytes > 0) memset(to, byte, (size_t)bytes); }
/* Offset of the first byte that is not the given one, or -1. */
int64_t tp_differs(const unsigned char* p, int32_t byte, int64_t bytes) { for (int64_t i = 0; i < bytes; i++) if (p[i] != (unsigned char)byte) return i; return -1; }
/* A copy as a kernel: points are blocks of 256 KiB. */
void tp_copy(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {
  (void)scratch;
  long long from = begin << 18, to = end << 18;
  if (to > dims[0]) to = dims[0];
  if (to > from) memmove((char*)args[1] + from, (const char*)args[0] + from, (size_t)(to - from));
}

/*
 * Keeps thread i of as many as there are processors on processor i. Left alone, a thread that wakes is often put behind the
 * one that woke it, and half of the machine stands idle for milliseconds.
 */
static void pin(int threads, int i) {
#if defined(__linux__)
  cpu_set_t all, one;
  if (sched_getaffinity(getpid(), sizeof all, &all) || CPU_COUNT(&all) != threads) return;
  CPU_ZERO(&one);
  for (int c = 0, k = 0; c < CPU_SETSIZE; c++) if (CPU_ISSET(c, &all) && k++ == i) CPU_SET(c, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
#else
  (void)threads, (void)i;
#endif
}
/*
 * A large buffer is written by a thread on each processor, part by part: its pages come to lie beside the processors that read them,
 * and two memories are filled at once. A part begins at a multiple of a huge page.
 */
typedef struct { char* to; const char* from; int64_t bytes; int threads, part; pthread_t thread; } move_t;
static _Atomic int movers;  /* threads of the largest pool */
static void* move_part(void* arg) {
  move_t* m = arg;
  if (m->part) pin(m->threads, m->part);
  memmove(m->to, m->from, (size_t)m->bytes);
  return 0;
}
void tp_move(void* to, const void* from, int64_t bytes) {
  int64_t apart = (char*)to - (const char*)from;
  int n = bytes < (32 << 20) || (apart < bytes && apart > -bytes) ? 1 : atomic_load(&movers);
  if (n > 64) n = 64;
  if (n < 2) { if (bytes > 0) memmove(to, from, (size_t)bytes); return; }
  move_t parts[64];
  int64_t each = ((bytes + n - 1) / n + (2 << 20) - 1) >> 21 << 21;
  for (int i = n - 1; i >= 0; i--) {
    int64_t begin = i * each < bytes ? i * each : bytes, end = begin + each < bytes ? begin + each : bytes;
    parts[i] = (move_t){ (char*)to + begin, (const char*)from + begin, end - begin, n, i, 0 };
    if (i == 0 || pthread_create(&parts[i].thread, 0, move_part, &parts[i])) { parts[i].threads = 0; parts[i].part = 0; move_part(&parts[i]); }
  }
  for (int i = 1; i < n; i++) if (parts[i].threads) pthread_join(parts[i].thread, 0);
}
static int scratch_for(worker_t* w) {
  if (w->scratch_bytes >= w->pool->scratch_bytes) return 1;
  free(w->scratch);
  w->scratch = tp_alloc(w->pool->scratch_bytes);
  w->scratch_bytes = w->scratch ? w->pool->scratch_bytes : 0;
  return w->scratch != 0;
}
static long long tickets_of(const pool_t* p, const int64_t* step) { long long most = p->threads * 64; return step[2] < most ? step[2] : most; }
static void run_points(const int64_t* step, long long begin, long long end, char* scratch) {
  ((kernel_t)(intptr_t)step[1])((void* const*)(step + 5 + step[4]), (const long long*)(step + 5), begin, end, scratch);
}
/* The first ticket of a thread's share. */
static long long share(const pool_t* p, int i) { return p->job.tickets * i / p->threads; }
static void run_tickets(worker_t* w, long long at, long long todo) {
  pool_t* p = w->pool;
  const int64_t* step = p->job.first;
  long long of = tickets_of(p, step);
  while (todo > 0) {
    while (at >= of) { at -= of; step += step[0]; of = tickets_of(p, step); }
    long long some = of - at < todo ? of - at : todo;
    if (scratch_for(w)) run_points(step, at * step[2] / of, (at + some) * step[2] / of, w->scratch);
    else { atomic_store(&p->failed, 1); *p->abort_flag = 1; }
    at += some;
    todo -= some;
  }
}
/* Takes tickets until none are left, its own first. Thread 0 also looks at the abort flag, and then drops what nobody has taken. */
static void take(worker_t* w, int first) {
  pool_t* p = w->pool;
  int self = (int)(w - p->workers);
  for (int k = 0; k < p->threads; k++) {
    int owner = (self + k) % p->threads;
    _Atomic long long* shared = &p->workers[owner].left;
    long long left = atomic_load_explicit(shared, memory_order_acquire);
    while (left > 0) {
      if (first && *p->abort_flag) { atomic_fetch_add(&p->finished, atomic_exchange(shared, 0)); break; }
      long long n = left / 8;
      if (n < 1) n = 1;
      if (!atomic_compare_exchange_weak_explicit(shared, &left, left - n, memory_order_acq_rel, memory_order_acquire)) continue;
      /* From here on the region stays until these tickets have run. */
      run_tickets(w, share(p, owner + 1) - left, n);
      atomic_fetch_add_explicit(&p->finished, n, memory_order_release);
      left = atomic_load_explicit(shared, memory_order_acquire);
    }
  }
}
static void* worker(void* arg) {
  worker_t* w = arg;
  pool_t* p = w->pool;
  pin(p->threads, (int)(w - p->workers));
  for (long long seen = 0;;) {
    int64_t since = now_ns();
    for (int i = 1; atomic_load_explicit(&p->regions, memory_order_acquire) == seen; i++) {
      if (atomic_load_explicit(&p->stop, memory_order_relaxed)) return 0;
      PAUSE();
      if (i % 64) continue;
      if (now_ns() - since > (atomic_load_explicit(&p->busy, memory_order_relaxed) ? 1000000 : 50000)) {
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1);
        while (atomic_load(&p->regions) == seen && !atomic_load(&p->stop)) pthread_cond_wait(&p->work, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
        since = now_ns();
      }
    }
    seen = atomic_load_explicit(&p->regions, memory_order_acquire);
    take(w, 0);
  }
}

/* A process that ends closes its libraries while threads of this one still look for work: its code stays where it is. */
static void stay(void) {
  Dl_info self;
  if (dladdr((void*)stay, &self)) dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
static void* conduct(void* arg);
void* tp_open(int32_t threads, double* control) {
  stay();
#if defined(__linux__) && defined(__x86_64__)
  syscall(SYS_arch_prctl, 0x1023, 18); /* matrix tiles: asked for once per process, refused where there are none */
#endif
  pool_t* p = 0;
  if (threads < 1 || posix_memalign((void**)&p, 128, sizeof(pool_t) + (size_t)threads * sizeof(worker_t))) return 0;
  memset(p, 0, sizeof(pool_t) + (size_t)threads * sizeof(worker_t));
  p->control = control;
  p->threads = threads;
  p->last = &p->first;
  p->awaited = INT64_MAX;
  pthread_mutex_init(&p->lock, 0);
  pthread_cond_init(&p->work, 0);
  pthread_cond_init(&p->asked, 0);
  pthread_cond_init(&p->ended, 0);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 4 << 20);
  for (int i = 0; i < threads; i++) {
    p->workers[i].pool = p;
    if (pthread_create(&p->workers[i].thread, &attr, i ? worker : conduct, &p->workers[i])) { p->threads = i; break; }
  }
  pthread_attr_destroy(&attr);
  if (!p->threads) { free(p); return 0; }
  if (p->threads > atomic_load(&movers)) atomic_store(&movers, p->threads);
  return p;
}
int32_t tp_threads(pool_t* p) { return p->threads; }
void tp_close(pool_t* p) {
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->stop, 1);
  pthread_cond_broadcast(&p->work);
  pthread_cond_broadcast(&p->asked);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->threads; i++) { pthread_join(p->workers[i].thread, 0); free(p->workers[i].scratch); }
  pthread_mutex_destroy(&p->lock);
  pthread_cond_destroy(&p->work);
  pthread_cond_destroy(&p->asked);
  pthread_cond_destroy(&p->ended);
  free(p);
}

/* Runs the region that begins at a record and returns the record after it. */
static const int64_t* launch(pool_t* p, const int64_t* first, const int64_t* end) {
  worker_t* self = &p->workers[0];
  const int64_t* next = first;
  long long tickets = 0;
  do { tickets += tickets_of(p, next); next += next[0]; } while (next < end && next[3]);
  if (tickets == 1 || p->threads == 1) {
    for (const int64_t* step = first; step < next; step += step[0]) {
      long long grid = step[2], n = grid > 16 ? grid / 16 : 1;
      for (long long at = 0; at < grid && !*p->abort_flag; at += n) run_points(step, at, at + n < grid ? at + n : grid, self->scratch);
    }
    return next;
  }
  p->job = (job_t){ first, tickets };
  atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
  for (int i = 0; i < p->threads; i++) {
    long long n = share(p, i + 1) - share(p, i);
    if (n) atomic_store_explicit(&p->workers[i].left, n, memory_order_release);
  }
  atomic_fetch_add(&p->regions, 1);
  if (atomic_load(&p->sleepers) > 0) {
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
  }
  take(self, 1);
  for (int i = 1; atomic_load_explicit(&p->finished, memory_order_acquire) != tickets; i++) { PAUSE(); if (i % 4096 == 0) sched_yield(); }
  return next;
}
/* Runs a table of records as thread 0 of the pool, and tells in the request's part of the control block: 0: done; 1: aborted; 2: no memory for scratch. */
static void run(pool_t* p, const int64_t* table, int64_t words, int64_t scratch, int64_t ticket) {
  double* told = p->control + 4 * (ticket % ${slots});
  p->abort_flag = (volatile int32_t*)told;
  atomic_store(&p->busy, 1);
  atomic_store(&p->failed, 0);
  if (scratch > p->scratch_bytes) p->scratch_bytes = scratch;
  int64_t since = now_ns();
  double launches = 0;
  int result = scratch_for(&p->workers[0]) ? 0 : 2;
  for (const int64_t* step = table; result == 0 && step < table + words; launches++) {
    if (*p->abort_flag) { result = 1; break; }
    step = launch(p, step, table + words);
  }
  if (result == 0 && *p->abort_flag) result = 1;
  if (atomic_load(&p->failed)) result = 2;
  told[1] = launches;
  told[2] = (double)(now_ns() - since);
  told[3] = result;
  pthread_mutex_lock(&p->lock);
  if (!p->first) atomic_store(&p->busy, 0);
  atomic_store(&p->completed, ticket);
  if (ticket >= p->awaited) { p->awaited = INT64_MAX; pthread_cond_broadcast(&p->ended); }
  pthread_mutex_unlock(&p->lock);
}
/* Thread 0: runs requests in the order in which they came. */
static void* conduct(void* arg) {
  worker_t* w = arg;
  pool_t* p = w->pool;
  pin(p->threads, 0);
  for (;;) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !atomic_load(&p->stop)) pthread_cond_wait(&p->asked, &p->lock);
    request_t* r = p->first;
    if (r && !(p->first = r->next)) p->last = &p->first;
    pthread_mutex_unlock(&p->lock);
    if (!r) return 0;
    run(p, r->table, r->words, r->scratch, r->ticket);
    free(r);
  }
}
/* Puts a program behind all others. Tickets count up; 0: no memory. */
int32_t tp_submit(pool_t* p, const int64_t* table, int64_t words, int64_t scratch, int64_t ticket) {
  request_t* r = malloc(sizeof(request_t) + (size_t)words * sizeof(int64_t));
  if (!r) return 0;
  r->next = 0; r->words = words; r->scratch = scratch; r->ticket = ticket;
  memcpy(r->table, table, (size_t)words * sizeof(int64_t));
  pthread_mutex_lock(&p->lock);
  *p->last = r;
  p->last = &r->next;
  pthread_cond_signal(&p->asked);
  pthread_mutex_unlock(&p->lock);
  return 1;
}
/* Runs a program on this thread, while no request is under way. */
void tp_run(pool_t* p, const int64_t* table, int64_t words, int64_t scratch, int64_t ticket) { run(p, table, words, scratch, ticket); }
/* Waits on this thread until the request with that ticket has ended. */
void tp_wait(pool_t* p, int64_t ticket) {
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->completed) < ticket) {
    if (ticket < p->awaited) p->awaited = ticket;
    pthread_cond_wait(&p->ended, &p->lock);
  }
  pthread_mutex_unlock(&p->lock);
}
int64_t tp_completed(pool_t* p) { return atomic_load(&p->completed); }
${productSource}`;
/** The kernel that copies. A binary program lists it, and its library is the whole native half. */
export const copyEntry = "tp_copy";
/** Changes when the way that kernels are called changes. Part of every cache key. */
export const abiVersion = 5;

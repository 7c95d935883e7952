/** Products by a library, as a kernel of the native half: each grid point is a block of one product, which a thread asks the library for. */
import { bytesOf, isHalf } from "../../core/dtype.js";
import { clamp } from "../../core/numbers.js";
import { warnOnce } from "../../core/warn.js";
import type { Choice, Chosen } from "../../runtime/choices.js";
import { asInteger } from "../../runtime/json.js";
import { type Multiplier, type ProductCall, products, type SizedMatrix } from "../../runtime/product.js";
import { type Blas, type BlasFile, openBlas } from "./blas.js";

/** In how many blocks a result is cut, down and across: each is a grid point. */
export interface Cut {
  readonly rows: number;
  readonly columns: number;
}
/** A launch of the table. */
export interface Record {
  readonly grid: number;
  readonly dims: readonly (number | bigint)[];
  /** Bytes of scratch that a thread needs. */
  readonly scratch: number;
}

/** The kernel's name. Its dims are those of `recordOf`. */
export const productEntry = "tp_product";
/**
 * Fortran's matrices go column by column, so what it multiplies are the transposes: d^T = b^T a^T. What is added stands in the result
 * before. Results of bf16 are f32 in the thread's scratch first, and rounded once.
 */
export const productSource = `
/* Whole numbers by address, of four bytes or of eight: small ones begin with the same four. */
typedef const long long* whole_t;
typedef void (*gemm_t)(const char*, const char*, whole_t, whole_t, whole_t, const void*, const void*, whole_t, const void*, whole_t, const void*, void*, whole_t);
typedef struct { long long argument, offset, row, each, turned; } matrix_t;
/* Bytes of an element of a and b, and of the others. */
typedef struct { gemm_t gemm; int (*single)(int); long long in, out, rows, columns, m, n, k; matrix_t a, b, d, c, bias; } product_t;
#if defined(__GNUC__) && !defined(__clang__)
#define VECTORS __attribute__((optimize("O3")))
#else
#define VECTORS
#endif
static char* place(void* const* args, const matrix_t* x, long long z, long long i, long long j, long long bytes) {
  return (char*)args[x->argument] + (x->offset + z * x->each + (x->turned ? j * x->row + i : i * x->row + j)) * bytes;
}
static float widened(uint16_t x) { uint32_t bits = (uint32_t)x << 16; float y; memcpy(&y, &bits, 4); return y; }
VECTORS static void narrow_row(uint16_t* to, const float* from, long long n) {
  for (long long j = 0; j < n; j++) {
    uint32_t bits;
    memcpy(&bits, from + j, 4);
    to[j] = from[j] != from[j] ? bits >> 16 | 64 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
}
/* Adds a row of elements of so many bytes. */
VECTORS static void add_row(char* to, const char* from, long long n, long long bytes) {
  for (long long j = 0; j < n; j++)
    if (bytes == 8) ((double*)to)[j] += ((const double*)from)[j];
    else ((float*)to)[j] += bytes == 4 ? ((const float*)from)[j] : widened(((const uint16_t*)from)[j]);
}
/* Where block i of so many of a side begins: at a whole line of memory. */
static long long edge(long long side, long long i, long long blocks) { return i == blocks ? side : side * i / blocks / 16 * 16; }
void tp_product(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {
  const product_t* p = (const product_t*)dims;
  int has_c = p->c.argument >= 0, has_bias = p->bias.argument >= 0;
  float one_f = 1, zero_f = 0;
  double one_d = 1, zero_d = 0;
  const void* one = p->out == 8 ? (void*)&one_d : (void*)&one_f;
  const void* zero = p->out == 8 ? (void*)&zero_d : (void*)&zero_f;
  if (p->single) p->single(1);
  for (long long pid = begin; pid < end; pid++) {
    long long x = pid % p->columns, y = pid / p->columns % p->rows, z = pid / p->columns / p->rows;
    long long i = edge(p->m, y, p->rows), j = edge(p->n, x, p->columns);
    long long m = edge(p->m, y + 1, p->rows) - i, n = edge(p->n, x + 1, p->columns) - j;
    if (m <= 0 || n <= 0) continue;
    long long aside = p->out == 2, pitch = aside ? n : p->d.row, bytes = aside ? 4 : p->out;
    char* result = aside ? scratch : place(args, &p->d, z, i, j, bytes);
    for (long long r = 0; (has_c || has_bias) && r < m; r++) {
      char* to = result + r * pitch * bytes;
      const char* c = has_c ? place(args, &p->c, z, i + r, j, p->out) : 0;
      if (c && !aside) memmove(to, c, (size_t)(n * bytes));
      else memset(to, 0, (size_t)(n * bytes));
      if (c && aside) add_row(to, c, n, p->out);
      if (has_bias) add_row(to, place(args, &p->bias, 0, 0, j, p->out), n, p->out);
    }
    p->gemm(p->b.turned ? "T" : "N", p->a.turned ? "T" : "N", &n, &m, &p->k, one, place(args, &p->b, z, 0, j, p->in), &p->b.row,
      place(args, &p->a, z, i, 0, p->in), &p->a.row, has_c || has_bias ? one : zero, result, &pitch);
    for (long long r = 0; aside && r < m; r++)
      narrow_row((uint16_t*)place(args, &p->d, z, i + r, j, 2), (const float*)(result + r * pitch * bytes), n);
  }
}
`;

/** Most elements by which a side of a block is longer than its share. */
const slack = 16;
/** The launch that computes a product by the library. */
export function recordOf(blas: Blas, { way, call: { sized: p, types } }: Chosen<ProductCall, Cut>): Record {
  const matrix = (x: SizedMatrix): number[] => [x.argument, x.offset, x.row, x.each, x.turned ? 1 : 0];
  const none = [-1, 0, 0, 0, 0];
  const dims = [
    blas.products.get(types.input)!,
    blas.single,
    ...[bytesOf(types.input), bytesOf(types.output), way.rows, way.columns, p.m, p.n, p.k],
    ...[p.a, p.b, p.d].flatMap(matrix),
    ...(p.c ? matrix(p.c) : none),
    ...(p.bias ? [p.bias.argument, p.bias.offset, 0, 0, 0] : none),
  ];
  const block = (p.m / way.rows + slack) * (p.n / way.columns + slack);
  return { grid: p.batch * way.rows * way.columns, dims, scratch: isHalf(types.output) ? 4 * Math.ceil(block) : 0 };
}

/** The shortest side of a block that is worth a call of its own, and most operations of one. */
const [shortest, mostOperations] = [32, 2e10];
/** Ways to cut a result that are measured. */
const mostCuts = 3;
/** Seconds in which a product is measured again and again, in so many rounds at least and at most; and of a round that says enough. */
const [budget, fewest, most, long] = [0.12, 2, 9, 0.3];
/** The library is taken where it is faster than the kernel by a clear margin. */
export const clearly = 0.95;

/** The library on this machine's threads, opened for the first product that may be its. */
export class BlasMultiplier implements Multiplier<Cut> {
  readonly kind: Multiplier<Cut>["kind"] = products;
  readonly library = "blas";
  readonly guesses = false;
  readonly margin: number;
  readonly identity: readonly unknown[];
  readonly found: Map<string, Choice<Cut>> = new Map();
  readonly #file: BlasFile;
  readonly #threads: number;
  #blas: Blas | string | undefined;

  constructor(file: BlasFile, processor: string, threads: number, margin: number) {
    this.#file = file;
    this.#threads = threads;
    this.margin = margin;
    this.identity = [...file.identity, processor, threads];
  }

  rounds = (seconds: number): number => (seconds > long ? 0 : clamp(Math.floor(budget / seconds), fewest, most));

  record(chosen: Chosen<ProductCall, Cut>): Record | undefined {
    const blas = this.#open();
    return typeof blas === "string" ? undefined : recordOf(blas, chosen);
  }
  /** A block for each thread, or several where an abort would wait too long for one: as wide as they are high, or other factors. */
  ways({ sized: p, types: { input, output } }: ProductCall, limit: number): readonly Cut[] {
    const blas = this.#open();
    if (typeof blas === "string" || !blas.products.has(input) || (output !== input && output !== "f32")) return [];
    const each = (2 * p.m * p.n * p.k) / mostOperations;
    const blocks = p.batch % this.#threads === 0 ? Math.ceil(each) : this.#threads * Math.ceil(each / this.#threads);
    const squareness = ({ rows, columns }: Cut): number => Math.abs(Math.log((p.m / rows) * (columns / p.n)));
    return Array.from({ length: blocks }, (_, i): Cut => ({ rows: i + 1, columns: blocks / (i + 1) }))
      .filter(({ rows, columns }) => Number.isInteger(columns) && p.m >= rows * shortest && p.n >= columns * shortest)
      .sort((x, y) => squareness(x) - squareness(y))
      .slice(0, Math.min(limit, mostCuts));
  }
  write: Multiplier<Cut>["write"] = (way) => ({ ...way });
  read: Multiplier<Cut>["read"] = (x) => ({ rows: asInteger(x["rows"], "a cut", 1), columns: asInteger(x["columns"], "a cut", 1) });

  #open(): Blas | string {
    if (this.#blas === undefined) {
      this.#blas = openBlas(this.#file);
      if (typeof this.#blas === "string") warnOnce(`${this.#blas}: generated kernels multiply`);
    }
    return this.#blas;
  }
}

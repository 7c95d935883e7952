/** Products by a library, as a kernel of the native half: each grid point is a block of one product, which a thread asks the library for. */
import { bytesOf } from "../../core/dtype.js";
import { clamp } from "../../core/numbers.js";
import type { Choice, Chosen, Multiplier } from "../../runtime/choices.js";
import { asInteger } from "../../runtime/json.js";
import type { ProductTypes, SizedMatrix, SizedProduct } from "../../runtime/product.js";
import { warnOnce } from "../../runtime/warn.js";
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
}

/** The kernel's name. Its dims are those of `recordOf`. */
export const productEntry = "tp_product";
/**
 * Fortran's matrices go column by column, so what it multiplies are the transposes: d^T = b^T a^T. What is added stands in the result
 * before.
 */
export const productSource = `
/* Whole numbers by address, of four bytes or of eight: small ones begin with the same four. */
typedef const long long* whole_t;
typedef void (*gemm_t)(const char*, const char*, whole_t, whole_t, whole_t, const void*, const void*, whole_t, const void*, whole_t, const void*, void*, whole_t);
typedef struct { long long argument, offset, row, each, turned; } matrix_t;
typedef struct { gemm_t gemm; int (*single)(int); long long bytes, rows, columns, m, n, k; matrix_t a, b, d, c, bias; } product_t;
static char* place(void* const* args, const matrix_t* x, long long z, long long i, long long j, long long bytes) {
  return (char*)args[x->argument] + (x->offset + z * x->each + (x->turned ? j * x->row + i : i * x->row + j)) * bytes;
}
static void add_row(char* to, const char* from, long long n, int wide) {
  if (wide) for (long long j = 0; j < n; j++) ((double*)to)[j] += ((const double*)from)[j];
  else for (long long j = 0; j < n; j++) ((float*)to)[j] += ((const float*)from)[j];
}
/* Where block i of so many of a side begins: at a whole line of memory. */
static long long edge(long long side, long long i, long long blocks) { return i == blocks ? side : side * i / blocks / 16 * 16; }
void tp_product(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {
  (void)scratch;
  const product_t* p = (const product_t*)dims;
  int wide = p->bytes == 8, has_c = p->c.argument >= 0, has_bias = p->bias.argument >= 0;
  float one_f = 1, zero_f = 0;
  double one_d = 1, zero_d = 0;
  if (p->single) p->single(1);
  for (long long pid = begin; pid < end; pid++) {
    long long x = pid % p->columns, y = pid / p->columns % p->rows, z = pid / p->columns / p->rows;
    long long i = edge(p->m, y, p->rows), j = edge(p->n, x, p->columns);
    long long m = edge(p->m, y + 1, p->rows) - i, n = edge(p->n, x + 1, p->columns) - j;
    if (m <= 0 || n <= 0) continue;
    for (long long r = i; (has_c || has_bias) && r < i + m; r++) {
      char* to = place(args, &p->d, z, r, j, p->bytes);
      const char* bias = has_bias ? place(args, &p->bias, 0, 0, j, p->bytes) : 0;
      memmove(to, has_c ? place(args, &p->c, z, r, j, p->bytes) : bias, (size_t)(n * p->bytes));
      if (has_c && has_bias) add_row(to, bias, n, wide);
    }
    const void* one = wide ? (void*)&one_d : (void*)&one_f;
    const void* beta = has_c || has_bias ? one : wide ? (void*)&zero_d : (void*)&zero_f;
    p->gemm(p->b.turned ? "T" : "N", p->a.turned ? "T" : "N", &n, &m, &p->k, one, place(args, &p->b, z, 0, j, p->bytes), &p->b.row,
      place(args, &p->a, z, i, 0, p->bytes), &p->a.row, beta, place(args, &p->d, z, i, j, p->bytes), &p->d.row);
  }
}
`;

/** The launch that computes a product by the library. */
export function recordOf(blas: Blas, { way, sized: p, types }: Chosen<Cut>): Record {
  const matrix = (x: SizedMatrix): number[] => [x.argument, x.offset, x.row, x.each, x.turned ? 1 : 0];
  const none = [-1, 0, 0, 0, 0];
  const dims = [
    blas.products.get(types.input)!,
    blas.single,
    ...[bytesOf(types.input), way.rows, way.columns, p.m, p.n, p.k],
    ...[p.a, p.b, p.d].flatMap(matrix),
    ...(p.c ? matrix(p.c) : none),
    ...(p.bias ? [p.bias.argument, p.bias.offset, 0, 0, 0] : none),
  ];
  return { grid: p.batch * way.rows * way.columns, dims };
}

/** The shortest side of a block that is worth a call of its own, and most operations of one. */
const [shortest, mostOperations] = [32, 2e10];
/** Ways to cut a result that are measured. */
const mostCuts = 3;
/** Seconds in which a product is measured again and again, in so many rounds at least and at most. */
const [budget, fewest, most] = [0.12, 2, 9];
/** The library is taken where it is faster than the kernel by a clear margin. */
export const clearly = 0.95;

/** The library on this machine's threads, opened for the first product that may be its. */
export class BlasMultiplier implements Multiplier<Cut> {
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

  rounds = (seconds: number): number => clamp(Math.floor(budget / seconds), fewest, most);

  record(chosen: Chosen<Cut>): Record | undefined {
    const blas = this.#open();
    return typeof blas === "string" ? undefined : recordOf(blas, chosen);
  }
  /** A block for each thread, or several where an abort would wait too long for one: as wide as they are high, or other factors. */
  ways(p: SizedProduct, { input, output }: ProductTypes, limit: number): readonly Cut[] {
    const blas = this.#open();
    if (typeof blas === "string" || !blas.products.has(input) || output !== input) return [];
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

/** cuBLASLt: descriptions of products, the algorithms that it proposes for them, and calls on a stream. */
import { bytesOf, type DType } from "../../core/dtype.js";
import { DeviceError } from "../../core/errors.js";
import { ffi, type NativeArg, type NativeType } from "../../runtime/ffi.js";
import { asInteger, asString } from "../../runtime/json.js";
import { type Multiplier, type ProductTypes, products, type SizedMatrix, type SizedProduct } from "../../runtime/product.js";

/** Numbers of the library's header. */
const types: Readonly<Partial<Record<DType, number>>> = { f32: 0, f16: 2, bf16: 14 };
const compute = { f32: 68, tf32: 77 } as const;
const description = { turnA: 3, turnB: 4, epilogue: 7, bias: 8 } as const;
const layout = { batch: 5, each: 6 } as const;
const preference = { workspace: 1, sums: 3, alignA: 5, alignB: 6, alignC: 7, alignD: 8 } as const;
const epilogues = { none: 1, bias: 4, gelu: 32 } as const;

/** Bytes of a proposal (the algorithm, the workspace that it wants, whether it can be), and of an algorithm. */
const [proposalBytes, algorithmBytes] = [96, 64];
/** What every buffer's address, and every place in it that a product begins at, is a multiple of. */
const alignment = 16;
/** How parts of k may be added up: narrow results in f32 alone, since the library would otherwise round each part as well. */
const sums = { narrow: 2, f32: 7 } as const;
/** Bytes of workspace that an algorithm may want. */
const mostWorkspace = 8 << 20;

/** An algorithm as plain data, and the workspace that it wants. */
export interface Algorithm {
  readonly code: Uint8Array;
  readonly workspace: number;
}
/** A product that the library knows. */
export interface Described {
  /** Algorithms, what the library believes to be the best one first. */
  proposals(count: number): readonly Algorithm[];
  /** Enqueues it. `addresses` are those of the step's buffers. */
  enqueue(algorithm: Algorithm, addresses: readonly bigint[], workspace: bigint, stream: bigint): void;
}

/** The library on one GPU. Calls go to the context that is current. */
export class Lt {
  readonly version: number;
  readonly #f: Functions;
  readonly #handle: bigint;
  readonly #preference: bigint;
  readonly #known = new Map<string, Described>();
  /** What is given back in the end. */
  readonly #held: (() => void)[] = [];
  readonly #one = new Float32Array([1]);
  readonly #zero = new Float32Array([0]);

  constructor(path: string) {
    this.#f = functions(path);
    this.version = this.#f.version();
    this.#handle = made((out) => this.#f.create(out));
    this.#preference = made((out) => this.#f.makePreference(out));
    this.#prefer(preference.workspace, new BigInt64Array([BigInt(mostWorkspace)]));
    for (const which of [preference.alignA, preference.alignB, preference.alignC, preference.alignD])
      this.#prefer(which, new Int32Array([alignment]));
  }
  #prefer(which: number, value: ArrayBufferView): void {
    this.#f.setPreference(this.#preference, which, value, value.byteLength);
  }

  /** The product's description, made on the first call. */
  describe(p: SizedProduct, t: ProductTypes): Described {
    const key = JSON.stringify([p, t]);
    let found = this.#known.get(key);
    if (!found) this.#known.set(key, (found = this.#describe(p, t)));
    return found;
  }

  close(): void {
    for (const give of this.#held) give();
    this.#f.destroyPreference(this.#preference);
    this.#f.destroy(this.#handle);
  }

  #describe(p: SizedProduct, { input, output }: ProductTypes): Described {
    const f = this.#f;
    const operation = made((out) => f.makeDescription(out, p.tf32 ? compute.tf32 : compute.f32, types.f32!));
    this.#held.push(() => f.destroyDescription(operation));
    const set = (which: number, value: ArrayBufferView): void => f.setDescription(operation, which, value, value.byteLength);
    // Its matrices go column by column, so what it multiplies are the transposes: d^T = b^T a^T.
    set(description.turnA, new Int32Array([p.b.turned ? 1 : 0]));
    set(description.turnB, new Int32Array([p.a.turned ? 1 : 0]));
    set(description.epilogue, new Int32Array([(p.bias ? epilogues.bias : 0) | (p.gelu ? epilogues.gelu : 0) || epilogues.none]));
    const layoutOf = (x: SizedMatrix, dtype: DType): bigint => {
      const at = made((out) => f.makeLayout(out, types[dtype]!, x.columns, x.rows, x.row));
      this.#held.push(() => f.destroyLayout(at));
      if (p.batch > 1) {
        f.setLayout(at, layout.batch, new Int32Array([p.batch]), 4);
        f.setLayout(at, layout.each, new BigInt64Array([BigInt(x.each)]), 8);
      }
      return at;
    };
    const [a, b, d] = [layoutOf(p.b, input), layoutOf(p.a, input), layoutOf(p.d, output)];
    const c = p.c ? layoutOf(p.c, output) : d;
    const place = (x: { readonly argument: number; readonly offset: number }, dtype: DType, addresses: readonly bigint[]): bigint =>
      addresses[x.argument]! + BigInt(x.offset * bytesOf(dtype));
    const bias = new BigInt64Array(1);
    return {
      proposals: (count) => {
        this.#prefer(preference.sums, new Int32Array([output === "f32" ? sums.f32 : sums.narrow]));
        const [list, found] = [new Uint8Array(count * proposalBytes), new Int32Array(1)];
        // A product that it does not take is none that it has algorithms for.
        if (f.propose(this.#handle, operation, a, b, c, d, this.#preference, count, list, found) !== 0) return [];
        return Array.from({ length: found[0]! }, (_, i): Algorithm & { readonly works: boolean } => {
          const view = new DataView(list.buffer, i * proposalBytes, proposalBytes);
          const workspace = Number(view.getBigUint64(algorithmBytes, true));
          return {
            code: list.slice(i * proposalBytes, i * proposalBytes + algorithmBytes),
            workspace,
            works: view.getInt32(72, true) === 0,
          };
        }).filter((x) => x.works && x.workspace <= mostWorkspace);
      },
      enqueue: (algorithm, addresses, workspace, stream) => {
        if (p.bias) {
          bias[0] = place(p.bias, output, addresses);
          set(description.bias, bias);
        }
        const to = place(p.d, output, addresses);
        const [x, y] = [place(p.b, input, addresses), place(p.a, input, addresses)];
        const from = p.c ? place(p.c, output, addresses) : to;
        const beta = p.c ? this.#one : this.#zero;
        const { code } = algorithm;
        f.matmul(this.#handle, operation, this.#one, x, a, y, b, beta, from, c, to, d, code, workspace, algorithm.workspace, stream);
      },
    };
  }
}

/** The library as choices see it. */
export const ltMultiplier = (lt: Lt, gpu: string): Multiplier<Algorithm> => ({
  kind: products,
  library: "cublaslt",
  identity: [lt.version, gpu, sums],
  // A kernel is taken where it is faster by more than what measurements differ by.
  margin: 1.03,
  rounds: () => 0,
  guesses: true,
  ways: ({ sized, types }, most) => lt.describe(sized, types).proposals(most),
  write: ({ code, workspace }) => ({ code: Buffer.from(code).toString("base64"), workspace }),
  read: (x) => ({
    code: Uint8Array.from(Buffer.from(asString(x["code"], "an algorithm"), "base64")),
    workspace: asInteger(x["workspace"], "an algorithm's workspace", 0, mostWorkspace),
  }),
});

const made = (make: (out: BigInt64Array) => void): bigint => {
  const out = new BigInt64Array(1);
  make(out);
  return out[0]!;
};

type Checked = (...args: readonly NativeArg[]) => void;
interface Functions
  extends Readonly<
    Record<
      | "create"
      | "destroy"
      | "makeDescription"
      | "setDescription"
      | "destroyDescription"
      | "makeLayout"
      | "setLayout"
      | "destroyLayout"
      | "makePreference"
      | "setPreference"
      | "destroyPreference"
      | "matmul",
      Checked
    >
  > {
  version(): number;
  /** Its status. */
  propose(...args: readonly NativeArg[]): number;
}

function functions(path: string): Functions {
  const library = ffi().load(path);
  const checked = (name: string, ...args: readonly NativeType[]): Checked => {
    const f = library.func(`cublasLt${name}`, "i32", args);
    return (...xs) => {
      const status = f(...xs) as number;
      if (status !== 0) throw new DeviceError(`cublasLt${name} failed with status ${status}`);
    };
  };
  const [p, i, l] = ["pointer", "i32", "i64"] as const;
  const propose = library.func("cublasLtMatmulAlgoGetHeuristic", "i32", [p, p, p, p, p, p, p, i, p, p]);
  const version = library.func("cublasLtGetVersion", "i64", []);
  return {
    version: () => Number(version()),
    propose: (...args) => propose(...args) as number,
    create: checked("Create", p),
    destroy: checked("Destroy", p),
    makeDescription: checked("MatmulDescCreate", p, i, i),
    setDescription: checked("MatmulDescSetAttribute", p, i, p, l),
    destroyDescription: checked("MatmulDescDestroy", p),
    makeLayout: checked("MatrixLayoutCreate", p, i, l, l, l),
    setLayout: checked("MatrixLayoutSetAttribute", p, i, p, l),
    destroyLayout: checked("MatrixLayoutDestroy", p),
    makePreference: checked("MatmulPreferenceCreate", p),
    setPreference: checked("MatmulPreferenceSetAttribute", p, i, p, l),
    destroyPreference: checked("MatmulPreferenceDestroy", p),
    matmul: checked("Matmul", p, p, p, p, p, p, p, p, p, p, p, p, p, p, l, p),
  };
}

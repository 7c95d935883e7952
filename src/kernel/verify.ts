/**
 * Checks a kernel before it is rendered: every index lies inside its buffer, names are declared and used once, dtypes agree, and
 * the target can hold it. Loaded files are verified too, so nothing here trusts what it reads.
 */
import { bytesOf, computeDType, type DType, isHalf, isInt } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { add, type Dim, divides, type Fact, hi, less, lo, mul, nonNegative, show, sub } from "../core/expr.js";
import { scalarOps } from "../ops/scalar.js";
import { bindingsOf } from "./bindings.js";
import type { Target } from "./codegen.js";
import { dependencyProblems } from "./dependency.js";
import { type Axis, type Buffer, type Kernel, perWord, type Ref, type Stmt, type Test, type Value } from "./kernel.js";
import { belowOf, occurrences, positive, prover } from "./prove.js";
import { showValue } from "./show.js";

interface Scope {
  /** What holds here. */
  readonly facts: readonly Fact[];
  /** Integer names (dims, axes, letIndex): the least value of each, and the first number beyond it. */
  readonly indices: ReadonlyMap<string, { readonly least: number; readonly end: Dim }>;
  /** Values by name, with their dtypes. */
  readonly values: ReadonlyMap<string, DType>;
  readonly vector: boolean;
}

/** Throws InternalError with everything that is wrong with a kernel; returns it otherwise. */
export function verifyKernel(k: Kernel, target?: Target): Kernel {
  const problems: string[] = [];
  const buffers = new Map<string, Buffer>();
  for (const b of k.buffers) {
    if (buffers.has(b.name)) problems.push(`buffer ${b.name} is declared twice`);
    buffers.set(b.name, b);
    if (b.space !== "global" && b.space !== "shared" && typeof b.size !== "number")
      problems.push(`${b.space} buffer ${b.name} has no constant size`);
  }
  if (target) checkTarget(k, target, problems);
  const dims = new Map<string, { readonly least: number; readonly end: Dim }>();
  for (const d of k.dims) {
    const [only, ...others] = occurrences(d).values();
    if (only && !others.length && d === only[1]) dims.set(only[0], { least: lo(d), end: hi(d) + 1 });
    else problems.push(`dim ${show(d)} is not a variable`);
  }
  const check = new Checker(buffers, problems, positive(k.grid));
  const { runs = 1 } = k;
  if (lo(runs) < 0 || hi(runs) > 1) problems.push(`whether it runs is ${show(runs)}, neither 0 nor 1`);
  for (const d of [k.grid, runs, ...k.buffers.map((b) => b.size)])
    check.names(d, { facts: [], indices: dims, values: new Map(), vector: false }, "a size");
  const indices = new Map([...dims, ["pid", { least: 0, end: k.grid }], ["tid", { least: 0, end: k.threads }]]);
  problems.push(...dependencyProblems(k));
  check.block(k.body, { facts: [], indices, values: new Map(), vector: false });
  if (problems.length) throw new InternalError(`kernel ${k.name} is malformed:\n  ${problems.slice(0, 20).join("\n  ")}`);
  return k;
}

function checkTarget(k: Kernel, t: Target, problems: string[]): void {
  const bound = bindingsOf(k, t);
  if (k.threads > t.threads) problems.push(`${k.threads} threads, and the target has ${t.threads}`);
  if (bound > t.maxBuffers) problems.push(`${bound} bindings of buffers, and the target has ${t.maxBuffers}`);
  if (lo(k.grid) > t.maxGrid) problems.push(`${show(k.grid)} grid points, and the target launches ${t.maxGrid}`);
  const shared = k.buffers.filter((b) => b.space === "shared").reduce((s, b) => s + hi(b.size) * bytesOf(b.dtype), 0);
  if (!(shared <= t.sharedBytes)) problems.push(`${shared} bytes of shared memory, and the target has ${t.sharedBytes}`);
  for (const b of k.buffers)
    if (b.space !== "signal" && b.space !== "reg" && !t.dtypes.has(b.dtype))
      problems.push(`buffer ${b.name} is ${b.dtype}, which the target does not have`);
}

class Checker {
  readonly buffers: ReadonlyMap<string, Buffer>;
  readonly problems: string[];
  /** What holds wherever the body runs: there are grid points. */
  readonly running: readonly Fact[];
  constructor(buffers: ReadonlyMap<string, Buffer>, problems: string[], running: readonly Fact[]) {
    this.buffers = buffers;
    this.problems = problems;
    this.running = running;
  }
  say(text: string): void {
    if (!this.problems.includes(text)) this.problems.push(text);
  }

  /** Names are declared, and no variable claims tighter bounds than its declaration gives. */
  names(d: Dim, s: Scope, where: string): void {
    for (const [name, v] of occurrences(d).values()) {
      const declared = s.indices.get(name);
      if (!declared) {
        this.say(`${where} uses ${name}, which is not declared there: ${show(d)}`);
        continue;
      }
      const { least, end } = declared;
      const below = belowOf(v);
      const wide = hi(v) >= hi(end) - 1 || less(end, hi(v) + 2, s.facts);
      if (lo(v) > least || !wide || (below !== undefined && !nonNegative(sub(below, end), s.facts)))
        this.say(
          `${where} takes ${name} to be in ${bounds(v)}${below === undefined ? "" : `, below ${show(below)}`}, and it is in ${least} to ${show(sub(end, 1))}`,
        );
    }
  }
  /** What the declarations of an expression's variables say about them. */
  declared(d: Dim, s: Scope): Fact[] {
    const out: Fact[] = [];
    for (const [name, v] of occurrences(d).values()) {
      const end = s.indices.get(name)?.end;
      if (end !== undefined && hi(v) >= lo(end) && belowOf(v) !== end) out.push({ a: v, op: "<", b: end });
    }
    return out;
  }
  /** `count` elements from `index` on lie inside a buffer. */
  within(name: string, index: Dim, s: Scope, count: Dim = 1): Buffer | undefined {
    const b = this.buffers.get(name);
    if (!b) {
      this.say(`there is no buffer ${name}`);
      return undefined;
    }
    this.names(index, s, `an index of ${name}`);
    const facts = [...s.facts, ...this.declared(index, s)];
    const beyond = add(index, sub(count, 1));
    if (nonNegative(index, facts) && less(beyond, b.size, facts)) return b;
    const holds = prover(facts, this.running, s.indices);
    if (!holds) return b;
    if (!holds(index)) this.say(`${name}[${show(index)}] may be below 0 (${bounds(index)})${given(s)}`);
    if (!holds(sub(sub(b.size, beyond), 1)))
      this.say(`${name}[${show(index)}] may be beyond ${show(b.size)} (${bounds(index)})${given(s)}`);
    return b;
  }
  ref(r: Ref, s: Scope, count: Dim = 1): Buffer | undefined {
    return this.within(r.buffer, r.index, s, count);
  }
  writable(b: Buffer | undefined): void {
    if (b?.space === "global" && !b.writes) this.say(`${b.name} is written and not declared so`);
  }

  /** Bytes are moved as they stand: what they mean stays. */
  moved(from: Buffer | undefined, to: Buffer | undefined, agree: (from: DType, to: DType) => boolean): void {
    this.writable(to);
    if (from && to && !agree(from.dtype, to.dtype)) this.say(`${from.name} (${from.dtype}) is moved into ${to.name} (${to.dtype})`);
  }

  value(v: Value, s: Scope): void {
    switch (v.kind) {
      case "const":
        return;
      case "index":
        this.names(v.expr, s, "a value");
        return;
      case "load": {
        const b = this.within(v.buffer, v.index, s);
        if (b && v.dtype !== computeDType(b.dtype)) this.say(`a load of ${b.name} (${b.dtype}) says ${v.dtype}`);
        return;
      }
      case "word": {
        const b = this.buffers.get(v.buffer);
        const count = b ? perWord(b.dtype) : 1;
        if (count !== 2 && count !== 4) this.say(`a word of ${v.buffer}, which is ${b?.dtype}`);
        if (b?.space === "reg") this.say(`a word of the register ${v.buffer}`);
        this.within(v.buffer, v.index, s, count);
        return;
      }
      case "ref": {
        const dtype = s.values.get(v.name);
        if (dtype === undefined) this.say(`${v.name} is used before its let`);
        else if (dtype !== computeDType(v.dtype)) this.say(`${v.name} is ${dtype}, used as ${v.dtype}`);
        return;
      }
      case "select": {
        for (const t of v.tests) this.test(t, s);
        this.value(v.then, { ...s, facts: [...s.facts, ...v.tests] });
        this.value(v.else, v.tests.length === 1 ? without(s, v.tests[0]!) : s);
        if (computeDType(v.then.dtype) !== computeDType(v.dtype) || computeDType(v.else.dtype) !== computeDType(v.dtype))
          this.say(`a select of ${v.then.dtype} and ${v.else.dtype} says ${v.dtype}`);
        return;
      }
      case "op":
        for (const a of v.args) this.value(a, s);
        this.op(v);
        return;
      default:
        v satisfies never;
    }
  }
  op(v: Extract<Value, { kind: "op" }>): void {
    const { arity, bool } = scalarOps[v.op];
    const from = v.args.map((a) => computeDType(a.dtype));
    if (from.length !== arity) this.say(`${v.op} has ${from.length} arguments`);
    const wrong = (): void => this.say(`${showValue(v)}: ${v.op} of ${v.args.map((a) => a.dtype).join(", ")} says ${v.dtype}`);
    if (v.op === "cast" || v.op === "bitcast") return;
    if (computeDType(v.dtype) !== v.dtype) wrong();
    else if (v.op === "dot2" || v.op === "dot4") {
      if (from[0] !== "u32" || from[1] !== "u32" || from[2] !== v.dtype || v.dtype !== (v.op === "dot2" ? "f32" : "i32")) wrong();
    } else if (v.op === "pair") {
      if (!isHalf(v.args[0]!.dtype) || v.args[1]?.dtype !== v.args[0]!.dtype || v.dtype !== "u32") wrong();
    } else if (v.op === "where") {
      if (from[0] !== "bool" || from[1] !== v.dtype || from[2] !== v.dtype) wrong();
    } else if (from.some((d) => d !== from[0]) || (bool ? v.dtype !== "bool" : v.dtype !== from[0])) wrong();
  }
  test(t: Test, s: Scope): void {
    this.names(t.a, s, "a test");
    this.names(t.b, s, "a test");
  }
  declare(name: string, s: Scope): void {
    if (s.indices.has(name) || s.values.has(name) || this.buffers.has(name)) this.say(`${name} is declared twice`);
  }
  /** The scope inside an axis. */
  inside(a: Axis, s: Scope): Scope {
    this.declare(a.name, s);
    this.names(a.size, s, `the size of axis ${a.name}`);
    const indices = new Map([...s.indices, [a.name, { least: 0, end: a.size }]]);
    // The only position of an axis is 0 and names no variable, so what its size says would be lost.
    const facts = hi(a.size) === 1 ? [...s.facts, ...positive(a.size)] : s.facts;
    return { ...s, facts, indices, vector: s.vector || a.kind === "vector" };
  }

  block(body: readonly Stmt[], outer: Scope): void {
    let s = outer;
    for (const x of body) s = this.statement(x, s);
  }
  /** Checks a statement and returns the scope after it. */
  statement(x: Stmt, s: Scope): Scope {
    switch (x.kind) {
      case "for": {
        if (x.axis.kind === "vector" && s.vector) this.say(`vector axis ${x.axis.name} is inside another one`);
        if (x.axis.kind !== "loop" && typeof x.axis.size !== "number")
          this.say(`${x.axis.kind} axis ${x.axis.name} has size ${show(x.axis.size)}, which is not constant`);
        // Nothing runs on an empty axis.
        if (hi(x.axis.size) > 0) this.block(x.body, this.inside(x.axis, s));
        return s;
      }
      case "if":
        this.test(x.test, s);
        this.block(x.body, { ...s, facts: [...s.facts, x.test] });
        if (x.else) this.block(x.else, without(s, x.test));
        return s;
      case "when":
        if (s.vector) this.say(`a when is inside a vector axis: ${showValue(x.test)}`);
        this.value(x.test, s);
        if (x.test.dtype !== "bool") this.say(`a when tests ${x.test.dtype}`);
        this.block(x.body, s);
        if (x.else) this.block(x.else, s);
        return s;
      case "let":
        this.declare(x.name, s);
        this.value(x.value, s);
        return { ...s, values: new Map([...s.values, [x.name, computeDType(x.value.dtype)]]) };
      case "letIndex":
        this.declare(x.name, s);
        this.value(x.value, s);
        this.names(x.max, s, `the greatest value of ${x.name}`);
        if (!isInt(x.value.dtype) && x.value.dtype !== "bool") this.say(`${x.name} is an index made of ${x.value.dtype}`);
        return { ...s, indices: new Map([...s.indices, [x.name, { least: x.min, end: add(x.max, 1) }]]) };
      case "store":
      case "atomic": {
        this.value(x.value, s);
        const b = this.within(x.buffer, x.index, s);
        this.writable(b);
        if (b && computeDType(b.dtype) !== computeDType(x.value.dtype))
          this.say(`${showValue(x.value)} (${x.value.dtype}) is stored in ${b.name} (${b.dtype})`);
        return s;
      }
      case "prefetch": {
        const b = this.buffers.get(x.buffer);
        if (b?.space !== "global") this.say(`a prefetch from ${x.buffer}, which is no global buffer`);
        this.names(x.index, s, "a prefetch");
        if (b && x.count !== undefined) {
          this.within(x.buffer, x.index, s, x.count);
          const piece = 16 / bytesOf(b.dtype);
          if (x.count % piece || !divides(piece, x.index))
            this.say(`a prefetch of ${x.count} from ${x.buffer}[${show(x.index)}], no whole pieces`);
        }
        return s;
      }
      case "combine": {
        const inner = x.axes.reduce((scope, a) => this.inside(a, scope), s);
        for (const a of x.axes) if (typeof a.size !== "number") this.say(`combine axis ${a.name} has no constant size`);
        this.value(x.value, inner);
        const b = this.ref(x.into, s);
        if (b && b.space !== "reg") this.say(`combine into ${b.name}, which is not a register`);
        if (b && computeDType(b.dtype) !== computeDType(x.value.dtype)) this.say(`combine of ${x.value.dtype} into ${b.name} (${b.dtype})`);
        return s;
      }
      case "copy":
        this.moved(this.ref(x.from, s, x.count), this.ref(x.to, s, x.count), (from, to) => from === to);
        return s;
      case "turn": {
        const block = (r: Ref, rows: number, stride: Dim): Buffer | undefined =>
          this.ref(r, s, add(mul(stride, rows - 1), 64 / bytesOf(this.buffers.get(r.buffer)?.dtype ?? "u32")));
        const [from, to] = [block(x.from, x.rows, x.fromStride), block(x.to, 16, x.toStride)];
        if (!(x.rows >= 1 && x.rows <= 16)) this.say(`a turn of ${x.rows} rows`);
        // Narrow elements are moved as the words that they are part of.
        this.moved(from, to, (a, b) => a === b || a === "u32" || b === "u32");
        for (const b of [from, to])
          if (b && (b.space === "reg" || bytesOf(b.dtype) > 4)) this.say(`a turn of ${b.name}, which has no words`);
        return s;
      }
      case "copyTile":
        this.ref(x.to, s, x.box[0] * x.box[1]);
        this.ref(x.signal, s);
        // A tile may reach beyond the last row and column: what is there is 0.
        this.within(x.from, add(mul(x.origin[0], x.columns), x.origin[1]), s);
        return s;
      case "signal":
        this.ref(x.on, s);
        this.names(x.amount, s, "a signal");
        return s;
      case "fill":
        this.ref(x.acc, s, Math.max(1, x.unit.regs.acc));
        return s;
      case "fetch":
        this.ref(x.into, s, x.count);
        // A tile's rows are 64 bytes, or what a unit of several threads takes.
        this.ref(
          x.from,
          s,
          x.unit.regs.acc
            ? 1
            : add(mul(x.stride, x.unit.m - 1), x.unit.lanes > 1 ? x.unit.n : 64 / bytesOf(this.buffers.get(x.from.buffer)?.dtype ?? "u32")),
        );
        return s;
      case "mma":
        this.ref(x.acc, s, Math.max(1, x.unit.regs.acc));
        this.ref(x.a, s, Math.max(1, x.unit.regs.a));
        this.ref(x.b, s, Math.max(1, x.unit.regs.b));
        return s;
      case "spill":
        this.ref(x.acc, s);
        this.writable(this.ref(x.to, s, add(mul(x.stride, x.unit.m - 1), x.unit.n)));
        return s;
      case "issue":
        this.block(x.body, s);
        return s;
      case "barrier":
      case "commit":
      case "wait":
      case "registers":
      case "dependency":
        return s;
      case "settle":
        if (x.of) this.ref(x.of, s, x.of.count);
        return s;
      default:
        return x satisfies never;
    }
  }
}
const bounds = (d: Dim): string => `${lo(d)} to ${hi(d)}`;
const given = (s: Scope): string =>
  s.facts.length ? `, given ${s.facts.map((f) => `${show(f.a)} ${f.op} ${show(f.b)}`).join(" and ")}` : "";
/** The scope where a test does not hold. */
const without = (s: Scope, t: Test): Scope => (t.op === "<" ? { ...s, facts: [...s.facts, { a: t.b, op: "<", b: add(t.a, 1) }] } : s);

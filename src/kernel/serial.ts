/**
 * A kernel of several threads as one of a single thread: between barriers all threads run one after another. Registers and names
 * that outlive a barrier get a place for each thread. This is how a CPU runs, and checks, what was lowered for a GPU.
 */
import { computeDType } from "../core/dtype.js";
import { InternalError, UnsupportedError } from "../core/errors.js";
import { add, type Dim, dependsOn, div, mul, variables } from "../core/expr.js";
import { apply, at, axis, type Buffer, type Kernel, load, loops, ref, type Stmt, store, type Value } from "./kernel.js";
import { dimsOf, eachStmt, eachValue, rewriteStmts, substituteStmts } from "./walk.js";

/** The kernel with one thread; itself, if it has one already. */
export function serial(k: Kernel): Kernel {
  if (k.threads === 1) return k;
  const threads = axis("thread", k.threads, "loop");
  const self = at(threads);
  const registers = new Map(k.buffers.filter((b) => b.space === "reg").map((b) => [b.name, b]));
  const spills: Buffer[] = [];
  /** Names at the level of barriers, with where each thread keeps its own. */
  const kept = new Map<string, { readonly buffer: Buffer; readonly again: (v: Value) => Stmt }>();
  const room = (name: string, dtype: Buffer["dtype"]): Buffer => {
    const b: Buffer = { name, dtype, space: "shared", size: k.threads };
    spills.push(b);
    return b;
  };

  /** Statements without barriers, for every thread. */
  const region = (body: readonly Stmt[]): readonly Stmt[] => {
    if (!body.length) return [];
    const own = new Set<string>();
    for (const s of body) if (s.kind === "let" || s.kind === "letIndex") own.add(s.name);
    const used = namesIn(body);
    const before = [...kept].filter(([n]) => used.has(n) && !own.has(n)).map(([, x]) => x.again(load(x.buffer, self)));
    return loops([threads], [...before, ...body]);
  };
  const keep = (s: Stmt): readonly Stmt[] => {
    if (s.kind === "let") {
      const buffer = room(`kept_${s.name}`, computeDType(s.value.dtype));
      kept.set(s.name, { buffer, again: (value) => ({ ...s, value }) });
      return [s, store(buffer, self, { kind: "ref", dtype: s.value.dtype, name: s.name })];
    }
    if (s.kind === "letIndex") {
      const buffer = room(`kept_${s.name}`, computeDType(s.value.dtype));
      kept.set(s.name, { buffer, again: (value) => ({ ...s, value }) });
      const held = `value_${s.name}`;
      return [
        { kind: "let", name: held, value: s.value },
        { ...s, value: { kind: "ref", dtype: s.value.dtype, name: held } },
        store(buffer, self, { kind: "ref", dtype: s.value.dtype, name: held }),
      ];
    }
    return [s];
  };
  const uniform = (d: Dim, what: string): void => {
    const names = [...variables(d).keys()];
    if (dependsOn(d, "thread") || names.some((n) => kept.has(n)))
      throw new UnsupportedError(`kernel ${k.name}: threads meet at a barrier inside ${what}, which differs from thread to thread`);
  };
  const split = (body: readonly Stmt[]): readonly Stmt[] => {
    const out: Stmt[] = [];
    let run: Stmt[] = [];
    const flush = (): void => {
      out.push(...region(run));
      run = [];
    };
    for (const s of body) {
      if (!meets([s])) {
        run.push(...keep(s));
        continue;
      }
      flush();
      switch (s.kind) {
        case "barrier":
          break;
        case "combine":
          out.push(...combine(s));
          break;
        case "for":
          uniform(s.axis.size, `the loop ${s.axis.name}`);
          out.push({ ...s, axis: { ...s.axis, kind: "loop" }, body: split(s.body) });
          break;
        case "if":
          uniform(s.test.a, "an if");
          uniform(s.test.b, "an if");
          out.push({ ...s, body: split(s.body), ...(s.else && { else: split(s.else) }) });
          break;
        default:
          throw new UnsupportedError(`kernel ${k.name}: a ${s.kind} with a barrier inside cannot run on one thread`);
      }
    }
    flush();
    return out;
  };
  /** Each thread leaves its value; then each adds up its group's. */
  const combine = (s: Extract<Stmt, { kind: "combine" }>): readonly Stmt[] => {
    const { dtype } = s.value;
    const parts = room(`part${spills.length}`, computeDType(dtype));
    const others = axis(`other${spills.length}`, s.threads - 1, "loop");
    const first = mul(div(self, s.threads), s.threads);
    const into = k.buffers.find((b) => b.name === s.into.buffer);
    if (!into) throw new InternalError(`kernel ${k.name}: no buffer ${s.into.buffer}`);
    const total = { ...into, space: "shared" as const };
    const merged = apply(s.op, computeDType(dtype), load(total, s.into.index), load(parts, add(first, at(others), 1)));
    return [
      ...region([{ ...s, threads: 1, into: ref(parts, self) }]),
      ...region([store(total, s.into.index, load(parts, first)), ...loops([others], [store(total, s.into.index, merged)])]),
    ];
  };

  /** Every thread's copy of a register. */
  const place = (buffer: string, index: Dim): Dim => {
    const b = registers.get(buffer);
    return b ? add(mul(self, b.size), index) : index;
  };
  const body = rewriteStmts(substituteStmts(k.body, new Map([["tid", self]])), { place });
  const done = split(body);
  const buffers = k.buffers.map(
    (b): Buffer => (b.space === "reg" ? { ...b, space: "shared", size: mul(b.size, k.threads), dtype: b.dtype } : b),
  );
  return separated({ ...k, threads: 1, buffers: [...buffers, ...spills], body: done });
}

/** Whether threads wait for each other in these statements. */
function meets(body: readonly Stmt[]): boolean {
  let found = false;
  eachStmt(body, (s) => {
    if (s.kind === "barrier" || (s.kind === "combine" && s.threads > 1)) found = true;
  });
  return found;
}
function namesIn(body: readonly Stmt[]): Set<string> {
  const out = new Set<string>();
  for (const d of dimsOf(body)) for (const n of variables(d).keys()) out.add(n);
  eachValue(body, (v) => {
    if (v.kind === "ref") out.add(v.name);
  });
  return out;
}
/** A combine leaves its result in a register: here one of its own, copied to where it belongs. */
function separated(k: Kernel): Kernel {
  const scratch: Buffer[] = [];
  const walk = (body: readonly Stmt[]): readonly Stmt[] =>
    body.flatMap((s): readonly Stmt[] => {
      if (s.kind === "for") return [{ ...s, body: walk(s.body) }];
      if (s.kind === "if" || s.kind === "when") return [{ ...s, body: walk(s.body), ...(s.else && { else: walk(s.else) }) }];
      if (s.kind !== "combine") return [s];
      const target = k.buffers.find((b) => b.name === s.into.buffer)!;
      const own: Buffer = { name: `one${scratch.length}`, dtype: computeDType(s.value.dtype), space: "reg", size: 1 };
      scratch.push(own);
      return [{ ...s, into: ref(own, 0) }, store(target, s.into.index, load(own, 0))];
    });
  const body = walk(k.body);
  return { ...k, buffers: [...k.buffers, ...scratch], body };
}

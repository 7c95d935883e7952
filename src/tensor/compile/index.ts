/** `compile(fn)`: a function of tensors as one program. What it touches becomes state; what it changes becomes updates of that state. */
import { keepDerived } from "../../compile/derived.js";
import { explain } from "../../compile/explain.js";
import { ArgumentError, StaleCaptureError } from "../../core/errors.js";
import { evaluate } from "../../core/expr.js";
import { envLevel } from "../../core/host.js";
import type { TensorType } from "../../core/type.js";
import { graphKey, intern } from "../../ir/intern.js";
import type { Node } from "../../ir/node.js";
import { printGraph } from "../../ir/print.js";
import { float32MatmulPrecision } from "../../ops/precision.js";
import { defaultDType } from "../../ops/promotion.js";
import { input } from "../../ops/source.js";
import type { Cell } from "../cell.js";
import { type DerivedValue, derivedOf, refresh } from "../derived.js";
import { currentDevice, engineOf } from "../device.js";
import type { Engine } from "../engine.js";
import { packed } from "../evaluate.js";
import { mode } from "../mode.js";
import { flush, settleCell } from "../pending.js";
import type { Prepared } from "../prepared.js";
import { newTensor } from "../record.js";
import { Storage, setStorage, storageOf } from "../storage.js";
import type { Tensor } from "../tensor.js";
import { markReleased } from "../track.js";
import { type Form, formOf, hasForm } from "./form.js";
import { Held } from "./held.js";
import { type Kept, type Recording, recordFunction } from "./recording.js";
import { type Dynamic, firstSizes, isSymbolic, type Sizes, serves, valuesOf, widened } from "./sizes.js";
import { flatten, rebuild } from "./values.js";

/** How a function is compiled. */
export interface CompileFunctionOptions {
  /** Record again at every call and compare: catches values that the function closes over and that changed. On at TREEPIE_DEBUG >= 1. */
  readonly check?: boolean;
  /** Axes that are symbolic from the first call on, for each tensor argument in order: `[[0], [0]]`, or ranges: `[{ 0: { min: 1, max: 64 } }]`. */
  readonly dynamic?: Dynamic;
  /** Ends calls: what runs stops within a tenth of a second, its results fail with the signal's reason, and its state is lost. */
  readonly signal?: AbortSignal;
}
/** A compiled function, with counts for tests and the curious. */
export type Compiled<F> = F & {
  readonly traces: number;
  /**
   * Calls it some times in a row with the same arguments, for what it writes. Where it gives nothing back and asks the host for nothing,
   * all calls together cost the host little more than one.
   */
  repeat(times: number, ...args: F extends (...args: infer A) => unknown ? A : never): void;
  /** Each program that was made so far: its kernels, what was fused and why not more, bytes moved, memory. */
  explain(): string;
};

type AnyFunction = (...args: never[]) => unknown;
/** What calls a recording serves, besides sizes. */
interface Specialization {
  readonly key: string;
  readonly plain: readonly unknown[];
  readonly sizes: Sizes;
  readonly recording: Recording;
  readonly engine: Engine;
  readonly held: Held;
  /** Undefined where the function is called as it is: gradients are asked for outside of it. */
  readonly prepared: Prepared | undefined;
  /** State of the program behind what the recording writes: copies of variables in narrower dtypes. */
  readonly derived: readonly DerivedValue[];
  /** What a call that this serves looks like, and the modes that it is made in. */
  readonly form: Form;
  readonly modes: readonly unknown[];
  /** Types of the outputs, where no size is symbolic. */
  readonly types: readonly TensorType[] | undefined;
  /** The host's numbers of the call that runs, by slot. */
  readonly numbers: (readonly (number | bigint)[])[];
  /** What they were packed into last, by pack: while they stay the same, nothing is sent to the device. */
  readonly packed: PackedLast[];
}
interface PackedLast {
  readonly values: readonly (readonly (number | bigint)[])[];
  readonly storage: Storage;
}
const mostSpecializations = 64;
/** How many calls are still to be made. */
interface Ask {
  left: number;
}

/**
 * Records `fn` at its first call and runs it as one program from then on. A call that differs in what the recording rests on (dtypes,
 * literal sizes, plain arguments, fields of modules, gradient mode, device) records anew; sizes that change become symbolic. Other
 * JavaScript values that `fn` closes over are constants, as in JAX. Results come without waiting.
 */
export function compile<F extends AnyFunction>(fn: F, options: CompileFunctionOptions = {}): Compiled<F> {
  const list: Specialization[] = [];
  const kept: Kept = new WeakMap();
  const check = options.check ?? envLevel("TREEPIE_DEBUG") >= 1;
  let traces = 0;

  function recordFor(args: readonly unknown[], tensors: readonly Tensor[], sizes: Sizes): Recording {
    traces++;
    const shapes = tensors.map((t) => t.shape);
    return recordFunction(fn, args, tensors, sizes, kept, valuesOf(sizes, shapes));
  }
  function specialize(args: readonly unknown[], flat: ReturnType<typeof flatten>, key: string): Specialization {
    const shapes = flat.tensors.map((t) => t.shape);
    const near = list.findLast((s) => s.key === key && samePlain(s.plain, flat.plain));
    const wide = near && widened(near.sizes, shapes);
    let sizes = wide ?? firstSizes(shapes, options.dynamic);
    let recording: Recording;
    try {
      recording = recordFor(args, flat.tensors, sizes);
    } catch (error) {
      if (!isSymbolic(sizes)) throw error;
      // With declared axes, two of an argument may have to be equal (a square matrix). Otherwise, not every function can be recorded
      // with sizes that are not numbers; with numbers it serves these sizes only.
      sizes = options.dynamic ? firstSizes(shapes, options.dynamic, true) : firstSizes(shapes);
      recording = recordFor(args, flat.tensors, sizes);
    }
    const device = flat.tensors[0]?.cell.device || [...recording.trace.captured.keys()][0]?.device || currentDevice();
    const engine = engineOf(device);
    const { graph, derived } = keepDerived(recording.graph);
    // What the call reads is on its way while the program is compiled.
    if (!recording.trace.lazy) realise(engine, flat.tensors, recording);
    const made: Specialization = {
      key,
      plain: flat.plain,
      sizes,
      recording,
      engine,
      held: new Held(recording),
      prepared: recording.trace.lazy ? undefined : engine.prepare(graph),
      derived: derived.map((d) => derivedOf(recording.written[d.of]!.cell, d.leaf.type.dtype)),
      form: formOf(args, sizes.axes),
      modes: modesNow(),
      types: isSymbolic(sizes) ? undefined : recording.graph.outputs.map((n) => concrete(n.type, {})),
      numbers: [],
      packed: [],
    };
    if (list.length >= mostSpecializations) list.shift();
    list.push(made);
    return made;
  }

  const call = (args: readonly unknown[], ask: Ask): unknown => {
    const plain = (): unknown => {
      ask.left--;
      return fn(...(args as never[]));
    };
    if (mode.trace) return plain();
    options.signal?.throwIfAborted();
    for (const s of list) {
      const tensors: Tensor[] = [];
      if (!sameModes(s.modes) || !hasForm(s.form, args, tensors) || !holds(s, tensors)) continue;
      if (check) compare(s, recordFor(args, tensors, s.sizes));
      return s.prepared ? run(s, s.prepared, tensors, ask, options.signal) : plain();
    }
    const flat = flatten(args);
    const s = specialize(args, flat, keyOf(flat));
    return s.prepared ? run(s, s.prepared, flat.tensors, ask, options.signal) : plain();
  };
  const compiled = (...args: unknown[]): unknown => call(args, { left: 1 });
  const repeat = (times: number, ...args: unknown[]): void => {
    if (!(Number.isSafeInteger(times) && times >= 0)) throw new ArgumentError(`repeat: ${times} times; it is a whole number from 0 on`);
    const ask = { left: times };
    while (ask.left > 0) call(args, ask);
  };
  const explainAll = (): string => {
    const programs = list.flatMap(({ prepared, derived }) =>
      prepared?.program ? [`${explain(prepared.program)}${keptText(derived)}`] : [],
    );
    return programs.length ? programs.join("\n\n") : "no program yet: call the function, and await a result of it";
  };
  const more = { traces: { get: () => traces }, explain: { value: explainAll }, repeat: { value: repeat } };
  return Object.defineProperties(compiled, more) as unknown as Compiled<F>;
}

/** What the calls of a program keep besides the tensors that they touch. */
function keptText(derived: readonly DerivedValue[]): string {
  if (!derived.length) return "";
  const bytes = derived.reduce((sum, d) => sum + d.bytes, 0);
  return `\n  kept from call to call: ${derived.length} copies of updated state in ${[...new Set(derived.map((d) => d.dtype))].join(", ")}, ${bytes} bytes, written with the state`;
}

const samePlain = (a: readonly unknown[], b: readonly unknown[]): boolean => a.length === b.length && a.every((x, i) => Object.is(x, b[i]));
/** The modes that recording depends on. */
const modesNow = (): readonly unknown[] => [mode.grad, mode.autocast, defaultDType(), float32MatmulPrecision(), currentDevice()];
const sameModes = (m: readonly unknown[]): boolean =>
  m[0] === mode.grad && m[1] === mode.autocast && m[2] === defaultDType() && m[3] === float32MatmulPrecision() && m[4] === currentDevice();
/** Structure of the arguments, what tensors are, and the modes that recording depends on: calls of one key differ in sizes. */
function keyOf(flat: ReturnType<typeof flatten>): string {
  const cells: Cell[] = [];
  const tensors = flat.tensors.map((t) => {
    let alias = cells.indexOf(t.cell);
    if (alias < 0) alias = cells.push(t.cell) - 1;
    return `${t.dtype}:${t.ndim}:${t.isGradLeaf ? "g" : ""}:${alias}:${t.cell.device}`;
  });
  return `${flat.structure}|${tensors.join()}|${modesNow().join("|")}`;
}
/** Whether a recording serves a call of its form: symbolic sizes fit, and what it rests on is as it was. */
function holds({ sizes, held, recording: { trace } }: Specialization, tensors: readonly Tensor[]): boolean {
  if (isSymbolic(sizes) || trace.equalities.size) {
    const shapes = tensors.map((t) => t.shape);
    if (!serves(sizes, shapes)) return false;
    const values = valuesOf(sizes, shapes);
    for (const [e, value] of trace.equalities) if (evaluate(e, values) !== value) return false;
  }
  return (held.found !== undefined || trace.guards.watchedHold()) && trace.guards.askedHold();
}

function compare(s: Specialization, again: Recording): void {
  const before = s.recording;
  const cells = [...before.trace.captured.keys()];
  const now = [...again.trace.captured.keys()];
  if (cells.length !== now.length || cells.some((c, i) => c !== now[i]))
    throw new StaleCaptureError(
      "compile: the function now reads other tensors than when it was recorded; pass tensors that change as arguments",
    );
  const [a, b] = [intern(before.graph), intern(again.graph)];
  if (graphKey(a) === graphKey(b)) {
    if (constants(before) === constants(again)) return;
    throw new StaleCaptureError(
      "compile: a JavaScript value that the function closes over, and gives back or writes into a tensor, has changed; pass it as an argument",
    );
  }
  const [x, y] = [printGraph(a).split("\n"), printGraph(b).split("\n")];
  const i = x.findIndex((line, k) => line !== y[k]);
  throw new StaleCaptureError(
    `compile: the function would now record something else: first at \`${(y[i] ?? "(nothing)").trim()}\`, recorded was \`${(x[i] ?? "(nothing)").trim()}\`. ` +
      "A JavaScript value that it closes over has changed; pass it as an argument, or keep it in a tensor",
  );
}

/** What a recording holds besides its graph: plain results, numbers and host values that it made tensors of. */
const constants = (r: Recording): string =>
  [
    ...flatten(r.value).plain.map((x) => (typeof x === "object" || typeof x === "function" ? typeof x : `${typeof x} ${String(x)}`)),
    ...r.packs.flatMap((p) => p.literals.map((l) => (l.slot === undefined ? l.values.join() : "asked"))),
    ...r.feeds.map((s) => s.host?.join() ?? "device"),
  ].join(";");

/** Makes all values of a call exist, in one program where any do not. */
function realise(engine: Engine, tensors: readonly Tensor[], r: Recording): void {
  const missing: Node[] = [];
  for (const t of tensors) if (!storageOf(t.value())) missing.push(t.value());
  for (const list of [r.read, r.written])
    for (const { cell } of list) {
      if (cell.disposed) throw new ArgumentError("compile: a tensor that the function uses was disposed");
      if (!storageOf(cell.value)) missing.push(cell.value);
    }
  if (missing.length === 0) return;
  flush([{ engine, nodes: missing }]).catch(() => {});
  for (const t of tensors) settleCell(t.cell);
  for (const list of [r.read, r.written]) for (const { cell } of list) settleCell(cell);
}

/** The values of a pack of a call's numbers: those of the call before, where no number has changed. */
function packedOnce({ recording, numbers, packed: known }: Specialization, i: number): Storage {
  const p = recording.packs[i]!;
  const now = p.literals.map((l) => (l.slot === undefined ? l.values : numbers[l.slot]!));
  const last = known[i];
  if (last?.values.every((list, k) => samePlain(list, now[k]!))) return last.storage;
  const storage = packed(p, numbers);
  known[i] = { values: now, storage };
  return storage;
}

let calls = 0;
const newStorage = (type: TensorType): Storage => new Storage(type);
/** Types of the outputs of a call whose sizes are symbolic. */
function typesOf({ sizes, recording }: Specialization, tensors: readonly Tensor[]): TensorType[] {
  const shapes = tensors.map((t) => t.shape);
  const values = valuesOf(sizes, shapes);
  return recording.graph.outputs.map((n) => concrete(n.type, values));
}
/** The values of a call's tensors, with room for `more`; undefined where one does not exist yet. */
function valuesOfArguments(tensors: readonly Tensor[], more: number): Storage[] | undefined {
  const out: Storage[] = new Array(tensors.length + more);
  for (let i = 0; i < tensors.length; i++) {
    const s = tensors[i]!.storage();
    if (!s) return undefined;
    out[i] = s;
  }
  return out;
}

/** Whether nothing of a call comes back, and nothing is asked of the host, so that the next call is the same request again. */
const isSilent = ({ graph, trace }: Recording): boolean => graph.outputs.length === 0 && trace.host.length === 0;

function run(s: Specialization, prepared: Prepared, tensors: readonly Tensor[], ask: Ask, signal?: AbortSignal): unknown {
  const { recording: r, engine, numbers, derived, held } = s;
  const { host } = r.trace;
  for (let i = 0; i < host.length; i++) {
    const w = host[i]!;
    if (w.kind === "effect") w.run();
    else numbers[i] = w.read();
  }
  let found = held.found ?? held.find();
  let inputs = found && valuesOfArguments(tensors, r.packs.length);
  if (!found || !inputs) {
    realise(engine, tensors, r);
    found = held.found ?? held.find()!;
    inputs = valuesOfArguments(tensors, r.packs.length)!;
  }
  refresh(engine, derived);
  const { standing } = found;
  const states = derived.length ? [...found.states, ...derived.map((d) => d.current!)] : found.states;
  for (let i = 0; i < r.packs.length; i++) inputs[tensors.length + i] = packedOnce(s, i);
  const call = ++calls;
  for (let i = 0; i < inputs.length; i++) inputs[i]!.call = call;
  let replaced: Storage[] | undefined;
  for (let i = 0; i < states.length; i++) if (!overwritten(states[i]!, call)) (replaced ??= [...states])[i] = new Storage(states[i]!.type);
  const becomes = replaced ?? states;
  const types = s.types ?? typesOf(s, tensors);
  const outputs = types.map(newStorage);
  const times = !replaced && isSilent(r) ? ask.left : 1;
  ask.left -= times;
  if (outputs.length > 0 || states.length > 0)
    engine.enqueue({ prepared, inputs, standing, states, becomes, outputs, name: "compiled", times, signal });
  const write = (): void => {
    for (let i = 0; i < r.written.length; i++) {
      const { cell } = r.written[i]!;
      cell.version++;
      if (becomes[i] !== states[i]) cell.value = leafOf(becomes[i]!);
    }
  };
  if (replaced) held.replace(derived.length ? replaced.slice(0, r.written.length) : replaced, write);
  else write();
  for (let i = 0; i < derived.length; i++) derived[i]!.hold(becomes[r.written.length + i]!);
  const device = tensors[0]?.cell.device ?? engine.name;
  const output = (i: number): Tensor => newTensor(leafOf(outputs[i]!), device);
  for (const { argument, output: i } of r.changed) tensors[argument]!.write(leafOf(outputs[i]!));
  for (const { leaf, grad } of r.grads) leaf.setGradient(grad);
  for (const { argument, output: i } of r.argumentGrads) addGrad(tensors[argument]!, i === null ? null : output(i));
  let next = 0;
  return rebuild(r.value, () => {
    const result = r.results[next++]!;
    switch (result.kind) {
      case "output": {
        const t = output(result.index);
        if (result.released) markReleased(t.cell.value);
        return t;
      }
      case "argument":
        return tensors[result.index]!;
      case "outside":
        return result.tensor;
      default:
        return result satisfies never;
    }
  });
}
function leafOf(storage: Storage): Node {
  const leaf = input(storage.type);
  setStorage(leaf, storage);
  return leaf;
}
/**
 * Whether a variable keeps its storage in a call: where nobody else reads the old value, steady state makes no garbage. A value that
 * is an argument of the call, or that has another name, survives.
 */
function overwritten(before: Storage, call: number): boolean {
  if (before.shared || before.call === call) before.pinned = true;
  return !before.pinned && before.block !== undefined && before.host === undefined && !before.job?.failed;
}
function addGrad(t: Tensor, g: Tensor | null): void {
  const before = t.outsideGrad();
  t.setGradient(g && before ? before.add(g) : g);
}
const concrete = (t: TensorType, sizes: Record<string, number>): TensorType => ({
  dtype: t.dtype,
  shape: t.shape.map((d) => evaluate(d, sizes)),
});

/** A function as a closed graph, for export: arguments and the tensors that it touches, by what they are. */
export interface Traced {
  readonly recording: Recording;
  readonly sizes: Sizes;
}
/** Records `fn` on example arguments without running it. Numbers that it asks the host for are in `recording.trace.host`. */
export function traceFunction(fn: AnyFunction, args: readonly unknown[], options: { readonly dynamic?: Dynamic } = {}): Traced {
  const flat = flatten(args);
  const sizes = firstSizes(
    flat.tensors.map((t) => t.shape),
    options.dynamic,
  );
  const recording = recordFunction(fn, args, flat.tensors, sizes, new WeakMap());
  return { recording, sizes };
}

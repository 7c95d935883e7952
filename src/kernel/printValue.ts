/** Values as text: scalars, native vectors, or one lane at a time. */
import { bytesOf, computeDType, dtypes, isInt } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { type Dim, divides, hi, lo, sub } from "../core/expr.js";
import type { Text } from "./dialect.js";
import { type Buffer, perWord, type Test, type Value } from "./kernel.js";
import { place, readPlace } from "./printRegisters.js";
import {
  aside,
  bound,
  bufferOf,
  indexText,
  inLane,
  laneName,
  laneStride,
  ownCopies,
  type State,
  spelled,
  spread,
  within,
} from "./printState.js";

/** A value; `l` picks one lane where lanes are unrolled. */
export function value(s: State, v: Value, l?: number): Text {
  switch (v.kind) {
    case "const":
      return { text: s.d.literal(v.value, v.dtype), lanes: 1, dtype: computeDType(v.dtype) };
    case "ref":
      return reference(s, v.name, v.dtype, l);
    case "index":
      return position(s, bound(s, v.expr), v.dtype, l);
    case "load":
      return loadValue(s, bufferOf(s, v.buffer), bound(s, v.index), l);
    case "word":
      return wordValue(s, bufferOf(s, v.buffer), bound(s, v.index), l);
    case "select":
      return select(s, v, l);
    case "op": {
      const [only] = v.args;
      // A position is made a value once, of the dtype that is wanted.
      if (v.op === "cast" && only?.kind === "index" && isInt(only.dtype) && narrowEnough(only, v.dtype))
        return position(s, bound(s, only.expr), v.dtype, l);
      const args = v.args.map((a) => value(s, a, l));
      const lanes = Math.max(...args.map((a) => a.lanes));
      const even = args.map((a) => (a.lanes === lanes ? a : { ...a, text: spread(s, a, lanes), lanes }));
      // A cast to or from a half float is told apart by the dtype of the value, which is f32 in both.
      const named = even.map((a, i) => ({ ...a, dtype: v.op === "bitcast" || v.op === "pair" ? v.args[i]!.dtype : a.dtype }));
      return { text: s.d.op(v.op, v.dtype, named, lanes), lanes, dtype: computeDType(v.dtype) };
    }
    default:
      return v satisfies never;
  }
}

/** Whether the integer holds the position as it is, so that it need not be made first. */
const narrowEnough = (v: Extract<Value, { kind: "index" }>, to: Value["dtype"]): boolean =>
  computeDType(to) === to &&
  lo(v.expr) >= (dtypes[v.dtype].kind === "uint" ? 0 : -(2 ** (8 * bytesOf(v.dtype) - 1))) &&
  hi(v.expr) < 2 ** Math.min(53, 8 * bytesOf(v.dtype) - 1);

function reference(s: State, name: string, dtype: Value["dtype"], l?: number): Text {
  const lanes = s.lets.get(name);
  if (lanes === undefined) throw new InternalError(`kernel ${s.kernel.name}: ${name} is used before its let`);
  const held = computeDType(dtype);
  if (lanes === 1) return { text: spelled(s, name), lanes: 1, dtype: held };
  const at = l ?? s.lane?.position;
  if (at === undefined) return { text: spelled(s, name), lanes, dtype: held };
  if (s.d.vectors === "native") return { text: s.d.lane(spelled(s, name), at, held, lanes), lanes: 1, dtype: held };
  return { text: laneName(s, name, at), lanes: 1, dtype: held };
}

function position(s: State, e: Dim, dtype: Value["dtype"], l?: number): Text {
  const held = computeDType(dtype);
  const scalar = (x: Dim): string => s.d.fromIndex(indexText(s, x), held);
  if (l !== undefined) return { text: scalar(inLane(s, e, l)), lanes: 1, dtype: held };
  const step = laneStride(s, e);
  if (step === 0) return { text: scalar(e), lanes: 1, dtype: held };
  const { size } = s.lane!;
  if (step !== undefined) return { text: s.d.ramp(indexText(s, inLane(s, e, 0)), step, held, size), lanes: size, dtype: held };
  return {
    text: s.d.pack(
      each(size, (i) => scalar(inLane(s, e, i))),
      held,
    ),
    lanes: size,
    dtype: held,
  };
}

function loadValue(s: State, b: Buffer, index: Dim, l?: number): Text {
  const dtype = computeDType(b.dtype);
  const step = laneStride(s, index);
  const register = b.space === "reg";
  if (register && (l !== undefined || step === 0 || step === 1)) return readPlace(s, b, place(s, b, index, l));
  const one = (e: Dim): Text => (register ? readPlace(s, b, place(s, b, e)) : { text: s.d.load(b, indexText(s, e), 1), lanes: 1, dtype });
  if (step === 0) return one(index);
  const { size } = s.lane!;
  const first = inLane(s, index, 0);
  if (l !== undefined) {
    // More than one access holds: several of them.
    const part = step === 1 && s.hoisted ? accessible(s, b, size) : 1;
    const from = inLane(s, index, l - (l % part));
    if (part === 1 || !s.hoisted || !fits(s, b, from, part)) return one(inLane(s, index, l));
    const key = `${b.name}:${typeof from === "number" ? from : from.key}`;
    let name = s.hoisted.get(key);
    if (!name) {
      name = `t_${s.temps++}`;
      s.hoisted.set(key, name);
      s.out.push(s.d.wide(b, indexText(s, from), part, name));
    }
    return { text: s.d.wideLane(b, name, l % part), lanes: 1, dtype };
  }
  if (step === 1) return { text: s.d.load(b, indexText(s, first), size), lanes: size, dtype };
  return {
    text: s.d.pack(
      each(size, (i) => one(inLane(s, index, i)).text),
      dtype,
    ),
    lanes: size,
    dtype,
  };
}
/** Neighbouring words are one access where lanes are native. */
function wordValue(s: State, b: Buffer, index: Dim, l?: number): Text {
  const one = (e: Dim): string => s.d.word(b, indexText(s, e), 1);
  if (l !== undefined) return { text: one(inLane(s, index, l)), lanes: 1, dtype: "u32" };
  const step = laneStride(s, index);
  if (step === 0) return { text: one(index), lanes: 1, dtype: "u32" };
  const { size } = s.lane!;
  if (step === perWord(b.dtype)) return { text: s.d.word(b, indexText(s, inLane(s, index, 0)), size), lanes: size, dtype: "u32" };
  return {
    text: s.d.pack(
      each(size, (i) => one(inLane(s, index, i))),
      "u32",
    ),
    lanes: size,
    dtype: "u32",
  };
}
/** Whether several lanes may be one memory access: narrow enough and known to be aligned. */
export const fits = (s: State, b: Buffer, first: Dim, lanes: number): boolean =>
  Number.isInteger(Math.log2(lanes)) && divides(lanes, first) && lanes * bytesOf(b.dtype) <= s.d.access;
/** Lanes of one memory access, where `size` of them are wanted. */
export const accessible = (s: State, b: Buffer, size: number): number =>
  size * bytesOf(b.dtype) > s.d.access && size % (s.d.access / bytesOf(b.dtype)) === 0 ? s.d.access / bytesOf(b.dtype) : size;
export const each = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));

/** What a test is where its bounds decide it. */
export function decided(t: Test): boolean | undefined {
  const margin = sub(t.b, t.a);
  if (t.op === "<") return lo(margin) > 0 ? true : hi(margin) <= 0 ? false : undefined;
  return margin === 0 ? true : lo(margin) > 0 || hi(margin) < 0 ? false : undefined;
}
export const boundTest = (s: State, t: Test): Test => ({ a: bound(s, t.a), op: t.op, b: bound(s, t.b) });
export const testText = (s: State, t: Test): string => s.d.test(indexText(s, t.a), t.op, indexText(s, t.b));
/** Whether a test (already bound) differs from lane to lane. */
export const varies = (s: State, t: Test): boolean => laneStride(s, t.a) !== 0 || laneStride(s, t.b) !== 0;
/** The test in one lane. */
export const testIn = (s: State, t: Test, l: number): Test => ({ a: inLane(s, t.a, l), op: t.op, b: inLane(s, t.b, l) });
/** Lanes that decide for all: when the test holds there it holds everywhere; undefined where no such lanes are known. */
export function deciding(s: State, t: Test): number[] | undefined {
  const step = laneStride(s, sub(t.b, t.a));
  if (t.op !== "<" || step === undefined) return undefined;
  return step < 0 ? [s.lane!.size - 1] : [0];
}
/** The lane in which an evenly spaced test holds if it holds in any. */
function lastToFail(s: State, t: Test): number | undefined {
  const step = laneStride(s, sub(t.b, t.a));
  if (t.op !== "<" || step === undefined) return undefined;
  return step < 0 ? 0 : s.lane!.size - 1;
}
/** Runs with the lanes of a native vector one after another, the lane's position being a run-time index. */
export function oneByOne<T>(s: State, run: () => T): T {
  const lane = s.lane!;
  const at = spelled(s, lane.name);
  const keep = s.env;
  s.env = new Map([...keep, ...ownCopies(s, lane.name)]);
  const result = within(s, { ...lane, position: at }, run);
  s.env = keep;
  return result;
}

type Select = Extract<Value, { kind: "select" }>;
function select(s: State, v: Select, l?: number): Text {
  const dtype = computeDType(v.dtype);
  const tests: Test[] = [];
  for (const t of v.tests) {
    const here = boundTest(s, t);
    const one = l === undefined ? here : testIn(s, here, l);
    const known = decided(one);
    if (known === false) return value(s, v.else, l);
    if (known === undefined) tests.push(one);
  }
  if (!tests.length) return value(s, v.then, l);
  const keep = s.hoisted;
  s.hoisted = undefined; // a load inside must not move out of it
  try {
    if (l === undefined && tests.some((t) => varies(s, t))) return selectLanes(s, v, tests);
    const test = s.d.and(tests.map((t) => testText(s, t)));
    if (!s.d.conditional) return selectStatement(s, v, test, l);
    const [a, b] = [value(s, v.then, l), value(s, v.else, l)];
    const lanes = Math.max(a.lanes, b.lanes);
    return { text: s.d.choose(test, spread(s, a, lanes), spread(s, b, lanes)), lanes, dtype };
  } finally {
    s.hoisted = keep;
  }
}
/**
 * Without `?:` a select is an if statement before the statement that uses it. Selects of one test that follow each other are one statement:
 * SwiftShader comes to no end with 32 branches in a row.
 */
function selectStatement(s: State, v: Select, test: string, l?: number): Text {
  const name = `t_${s.temps++}`;
  const dtype = computeDType(v.dtype);
  const arm = (x: Value): string[] => {
    let text = "";
    const before = aside(s, () => {
      text = value(s, x, l).text;
    });
    return [...before, s.d.assign(name, text)];
  };
  const [yes, no] = [arm(v.then), arm(v.else)];
  const variable = s.d.variable(name, dtype, 1);
  const { out, chosen: c } = s;
  if (c?.out === out && c.end === out.length && c.test === test) {
    out.splice(c.end - 1, 0, ...no);
    out.splice(c.middle, 0, ...yes);
    out.splice(c.first, 0, variable);
    s.chosen = { ...c, first: c.first + 1, middle: c.middle + 1 + yes.length, end: out.length };
  } else {
    const first = out.length;
    out.push(variable, s.d.branch(test), ...yes, "} else {", ...no, "}");
    s.chosen = { out, test, first, middle: first + 2 + yes.length, end: out.length };
  }
  return { text: name, lanes: 1, dtype };
}
/** Lanes differ: all pass and none pass are whole vectors, the rest goes lane by lane. */
function selectLanes(s: State, v: Select, tests: readonly Test[]): Text {
  const { d } = s;
  const lane = s.lane!;
  const dtype = computeDType(v.dtype);
  const lanes = lane.size;
  const name = `t_${s.temps++}`;
  const lines = [d.variable(name, dtype, lanes)];
  const some = tests.map((t) => lastToFail(s, t)).map((at, i) => (at === undefined ? undefined : testText(s, testIn(s, tests[i]!, at))));
  const all = tests.map((t) => deciding(s, t)?.map((at) => testText(s, testIn(s, t, at))));
  if (some.some((t) => t !== undefined)) {
    const possible = some.filter((t): t is string => t !== undefined);
    lines.push(`${d.branch(`!(${d.and(possible)})`)}`, d.assign(name, spread(s, value(s, v.else), lanes)), "} else");
  }
  if (all.every((t) => t !== undefined))
    lines.push(d.branch(d.and(all.flat() as string[])), d.assign(name, spread(s, value(s, v.then), lanes)), "} else");
  oneByOne(s, () => {
    const here = d.and(tests.map((t) => testText(s, boundTest(s, t))));
    const one = d.choose(here, value(s, v.then).text, value(s, v.else).text);
    lines.push(d.loop(spelled(s, lane.name), `${lanes}`), d.assign(name, d.insert(name, spelled(s, lane.name), one, dtype, lanes)), "}");
  });
  return { text: d.block(lines, name), lanes, dtype };
}

/** Values of a kernel as scalars or lanes. */
import { bytesOf, computeDType, type DType, dtypes, isFloat, isInt, isWide } from "../../../core/dtype.js";
import { type Dim, hi, lo, sub } from "../../../core/expr.js";
import { perWord, type Test, type Value } from "../../../kernel/kernel.js";
import { access, branch, type Code, choose, i32x4, i64x2, op } from "../asm/code.js";
import { cast } from "./convert.js";
import { allOf, exact, integer, narrow, testCode } from "./integers.js";
import { four, keep, laneOf, literal, one, pack, spread } from "./lanes.js";
import { addressOf, gather, loadFour, loadOne, place, readPlace } from "./memory.js";
import { apply } from "./scalar.js";
import { asLane, bound, bufferOf, fail, inLane, laneStride, roomOf, type State, type Val, width } from "./state.js";

export const lanes = [0, 1, 2, 3] as const;

/** A value, in all lanes where it differs from lane to lane. */
export function value(s: State, v: Value): Val {
  switch (v.kind) {
    case "const":
      return literal(v.value, v.dtype);
    case "ref":
      return reference(s, v.name);
    case "index":
      return position(s, bound(s, v.expr), computeDType(v.dtype));
    case "load":
      return load(s, v.buffer, bound(s, v.index));
    case "word":
      return word(s, v.buffer, bound(s, v.index));
    case "select":
      return selected(s, v);
    case "op": {
      const [only] = v.args;
      // A position is made a value once, of the dtype that is wanted.
      if (v.op === "cast" && only?.kind === "index" && isInt(only.dtype) && narrowEnough(only, v.dtype))
        return position(s, bound(s, only.expr), v.dtype);
      const args = v.args.map((a) => value(s, a));
      const wide = args.some((a) => a.lanes === width);
      // A constant shift keeps its number.
      const even = args.map((a, i) =>
        wide && a.lanes === 1 && !((v.op === "shl" || v.op === "shr") && i === 1 && a.constant !== undefined) ? spreadKeeping(s, a) : a,
      );
      return apply(
        s,
        v.op,
        v.dtype,
        even,
        v.args.map((a) => a.dtype),
      );
    }
    default:
      return v satisfies never;
  }
}
const spreadKeeping = (s: State, a: Val): Val => (a.constant === undefined ? spread(s, a) : { ...spread(s, a), constant: a.constant });

/** Whether the integer holds the position as it is, so that it need not be made first. */
const narrowEnough = (v: Extract<Value, { kind: "index" }>, to: DType): boolean =>
  computeDType(to) === to &&
  lo(v.expr) >= (dtypes[v.dtype].kind === "uint" ? 0 : -(2 ** (8 * bytesOf(v.dtype) - 1))) &&
  hi(v.expr) < 2 ** Math.min(53, 8 * bytesOf(v.dtype) - 1);

function reference(s: State, name: string): Val {
  const held = s.lets.get(name) ?? fail(s, `${name} is used before its let`);
  return held.lanes === width && s.at !== undefined ? laneOf(held, s.at) : held;
}

/** An integer expression as a value. */
function position(s: State, e: Dim, dtype: DType): Val {
  const step = laneStride(s, e);
  const scalar = (x: Dim): Val => {
    if (typeof x === "number") return literal(isWide(dtype) ? BigInt(x) : x, dtype);
    if (narrow(x)) return cast(s, one("i32", integer(s, x)), dtype);
    return isFloat(dtype) || isWide(dtype) || dtype === "bool"
      ? cast(s, one("i64", exact(s, x, true)), dtype)
      : cast(s, one("i32", integer(s, x)), dtype);
  };
  if (step === 0) return scalar(e);
  const first = inLane(s, e, 0);
  if (step !== undefined && narrow(first) && narrow(inLane(s, e, width - 1))) {
    const ramp = op("i32x4.add", op("i32x4.splat", integer(s, first)), i32x4(0, step, 2 * step, 3 * step));
    return cast(s, four("i32", ramp), dtype);
  }
  if (step !== undefined && isWide(dtype)) {
    const base = s.f.keep(op("i64x2.splat", exact(s, first, true)));
    const part = (i: number): Code => op("i64x2.add", base, i64x2(BigInt(i * step), BigInt((i + 1) * step)));
    return four(dtype, part(0), part(2));
  }
  return pack(
    dtype,
    lanes.map((l) => scalar(inLane(s, e, l)).parts[0]!),
  );
}

function load(s: State, name: string, index: Dim): Val {
  const b = bufferOf(s, name);
  const step = laneStride(s, index);
  if (b.space === "reg") {
    if (step === 0 || step === 1) return readPlace(s, b, place(s, b, index));
    return gather(s, b.dtype, (l) => readPlace(s, b, place(s, b, inLane(s, index, l))));
  }
  const room = roomOf(s, name);
  if (step === 0) return loadOne(s, room, index);
  if (step === 1) return loadFour(s, room, inLane(s, index, 0));
  return gather(s, b.dtype, (l) => loadOne(s, room, inLane(s, index, l)));
}
/** Neighbouring words are one access. */
function word(s: State, name: string, index: Dim): Val {
  const room = roomOf(s, name);
  const at = (e: Dim, instruction: string): Code => {
    const { code, offset } = addressOf(s, room, e);
    return access(instruction, offset, code);
  };
  const step = laneStride(s, index);
  if (step === 0) return { ...one("u32", at(index, "i32.load")), spread: at(index, "v128.load32_splat") };
  if (step === perWord(room.buffer.dtype)) return four("u32", at(inLane(s, index, 0), "v128.load"));
  return pack(
    "u32",
    lanes.map((l) => at(inLane(s, index, l), "i32.load")),
  );
}

/** What a test is where its bounds decide it. */
export function decided(t: Test): boolean | undefined {
  const margin = sub(t.b, t.a);
  if (t.op === "<") return lo(margin) > 0 ? true : hi(margin) <= 0 ? false : undefined;
  return margin === 0 ? true : lo(margin) > 0 || hi(margin) < 0 ? false : undefined;
}
export const boundTest = (s: State, t: Test): Test => ({ a: bound(s, t.a), op: t.op, b: bound(s, t.b) });
/** Whether a test (already bound) differs from lane to lane. */
export const varies = (s: State, t: Test): boolean => laneStride(s, t.a) !== 0 || laneStride(s, t.b) !== 0;
/** The test in one lane. */
export const testIn = (s: State, t: Test, l: number): Test => ({ a: inLane(s, t.a, l), op: t.op, b: inLane(s, t.b, l) });
/** The lane that decides for all, and the lane in which the test holds if it holds in any; undefined where none is known. */
export function deciding(s: State, t: Test): { readonly all: number; readonly any: number } | undefined {
  const step = laneStride(s, sub(t.b, t.a));
  if (t.op !== "<" || step === undefined) return undefined;
  return step < 0 ? { all: width - 1, any: 0 } : { all: 0, any: width - 1 };
}

type Select = Extract<Value, { kind: "select" }>;
function selected(s: State, v: Select): Val {
  const dtype = computeDType(v.dtype);
  const tests: Test[] = [];
  for (const t of v.tests) {
    const here = boundTest(s, t);
    const known = decided(here);
    if (known === false) return value(s, v.else);
    if (known === undefined) tests.push(here);
  }
  if (!tests.length) return value(s, v.then);
  if (tests.some((t) => varies(s, t))) return keep(s, selectLanes(s, v, tests));
  const test = s.f.keep(allOf(tests.map((t) => testCode(s, t))));
  const [a, b] = [arm(s, v.then), arm(s, v.else)];
  const wide = a.val.lanes === width || b.val.lanes === width;
  const result = locals(s, dtype, wide ? width : 1);
  const finish = (x: Arm): Code[] => [...x.before, ...s.f.aside(() => result.write(wide ? spread(s, x.val) : x.val))];
  s.f.push(branch(test, finish(a), finish(b)));
  return result.read();
}
interface Arm {
  readonly before: Code[];
  readonly val: Val;
}
function arm(s: State, v: Value): Arm {
  let val: Val | undefined;
  const before = s.f.aside(() => {
    val = value(s, v);
  });
  return { before, val: val! };
}
/** A value that several branches write. */
function locals(s: State, dtype: DType, n: 1 | 4): { write(v: Val): void; read(): Val } {
  const zero = n === 1 ? literal(isWide(dtype) ? 0n : 0, dtype) : spread(s, literal(isWide(dtype) ? 0n : 0, dtype));
  const own = zero.parts.map((p) => s.f.temp(p.type!));
  return {
    write: (v) => {
      const kept = own.length > 1 ? keep(s, v) : v;
      for (const [i, l] of own.entries()) s.f.write(l, kept.parts[i]!);
    },
    read: () => ({ dtype, lanes: n, parts: own.map((l) => s.f.read(l)) }),
  };
}
/** Whether a value can be computed where its tests fail: it reads nothing. */
function harmless(v: Value): boolean {
  switch (v.kind) {
    case "load":
    case "word":
      return false;
    case "op":
      return v.args.every(harmless);
    case "select":
      return harmless(v.then) && harmless(v.else);
    default:
      return true;
  }
}
/** Lanes differ: all pass and none pass are whole vectors, the rest goes lane by lane, or by a mask where both sides may be computed. */
function selectLanes(s: State, v: Select, tests: readonly Test[]): Val {
  const dtype = computeDType(v.dtype);
  const masks = harmless(v.then) && harmless(v.else) ? tests.map((t) => mask(s, t)) : [undefined];
  if (masks.every((m) => m !== undefined)) {
    const all = masks.reduce((a, b) => op("v128.and", a!, b!))!;
    return apply(s, "where", dtype, [four("bool", all), spread(s, value(s, v.then)), spread(s, value(s, v.else))], ["bool", dtype, dtype]);
  }
  const result = locals(s, dtype, width);
  const write = (x: Value): Code[] => s.f.aside(() => result.write(spread(s, value(s, x))));
  const slow = s.f.aside(() => {
    const each = lanes.map((l) =>
      asLane(s, l, () => {
        const here = allOf(v.tests.map((t) => testCode(s, boundTest(s, t))));
        const side = (x: Value): Code[] => s.f.yielding(() => value(s, x).parts[0]!);
        return s.f.keep(choose(here, side(v.then), side(v.else)));
      }),
    );
    result.write(pack(dtype, each));
  });
  const known = tests.map((t) => (varies(s, t) ? deciding(s, t) : { all: 0, any: 0 }));
  const every = known.every((k) => k !== undefined) ? allOf(tests.map((t, i) => testCode(s, testIn(s, t, known[i]!.all)))) : undefined;
  const possible = tests.flatMap((t, i) => (known[i] ? [testCode(s, testIn(s, t, known[i].any))] : []));
  const rest = every ? [branch(every, write(v.then), slow)] : slow;
  s.f.push(...(possible.length ? [branch(allOf(possible), rest, write(v.else))] : rest));
  return result.read();
}
/** In which lanes a test holds, where its sides are evenly spaced and small. */
function mask(s: State, t: Test): Code | undefined {
  const [p, q] = [t.a, t.b].map((e) => {
    const step = laneStride(s, e);
    if (step === undefined || !narrow(inLane(s, e, 0)) || !narrow(inLane(s, e, width - 1))) return undefined;
    const first = op("i32x4.splat", integer(s, inLane(s, e, 0)));
    return step === 0 ? first : op("i32x4.add", first, i32x4(0, step, 2 * step, 3 * step));
  });
  return p && q && op(t.op === "<" ? "i32x4.lt_s" : "i32x4.eq", p, q);
}

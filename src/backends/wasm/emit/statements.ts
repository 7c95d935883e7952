/** Statements of a kernel: loops, tests, stores, reductions over lanes. */
import { bytesOf, isHalf } from "../../../core/dtype.js";
import { InternalError, UnsupportedError } from "../../../core/errors.js";
import { type Dim, hi, max, min, variable } from "../../../core/expr.js";
import type { Axis, Combiner, Stmt, Test, Value } from "../../../kernel/kernel.js";
import { eachStmt } from "../../../kernel/walk.js";
import { access, branch, type Code, i32, i64, memoryCopy, op, repeat, select, shuffle } from "../asm/code.js";
import { cast } from "./convert.js";
import { countCode, exact, integer, narrow, testCode } from "./integers.js";
import { four, keep, laneOf, one, pack, scalarType, spread } from "./lanes.js";
import { addressOf, inAllLanes, place, scatter, storeFour, storeOne, writePlace } from "./memory.js";
import { apply } from "./scalar.js";
import {
  asLane,
  bind,
  bound,
  bufferOf,
  type Frame,
  fail,
  inLane,
  laneStride,
  roomOf,
  type State,
  type Val,
  width,
  withLane,
} from "./state.js";
import { boundTest, decided, deciding, lanes, testIn, value, varies } from "./values.js";

export function statements(s: State, body: readonly Stmt[]): void {
  for (const x of body) s.f.scope(() => statement(s, x));
}
function statement(s: State, x: Stmt): void {
  switch (x.kind) {
    case "for":
      loop(s, x.axis, x.body);
      return;
    case "if":
      test(s, boundTest(s, x.test), x.body, x.else);
      return;
    case "when":
      s.f.push(branch(value(s, x.test).parts[0]!, aside(s, x.body), aside(s, x.else ?? [])));
      return;
    case "let":
      letValue(s, x.name, x.value);
      return;
    case "letIndex":
      letIndex(s, x.name, x.value, x.min, bound(s, x.max));
      return;
    case "store":
      store(s, x.buffer, bound(s, x.index), x.value);
      return;
    case "atomic":
      perLane(s, bound(s, x.index), x.value, (index, v) => atomic(s, x.op, x.buffer, index, v));
      return;
    case "combine":
      combine(s, x);
      return;
    case "copy": {
      const [to, from] = [roomOf(s, x.to.buffer), roomOf(s, x.from.buffer)];
      const at = (r: typeof to, index: Dim): Code => {
        const { code, offset } = addressOf(s, r, index);
        return offset ? op("i32.add", code, i32(offset)) : code;
      };
      s.f.push(memoryCopy(at(to, bound(s, x.to.index)), at(from, bound(s, x.from.index)), i32(x.count * bytesOf(to.buffer.dtype))));
      return;
    }
    // There is one thread in a grid point, nothing runs in the background, and memory cannot be asked for ahead.
    case "prefetch":
    case "barrier":
    case "commit":
    case "wait":
    case "registers":
    case "dependency":
      return;
    case "turn":
    case "copyTile":
    case "signal":
    case "fill":
    case "fetch":
    case "mma":
    case "spill":
    case "issue":
    case "settle":
      throw new UnsupportedError(`WebAssembly has no ${x.kind}; choose a tiling without it`);
    default:
      x satisfies never;
  }
}
const aside = (s: State, body: readonly Stmt[]): Code[] => s.f.aside(() => statements(s, body));

function loop(s: State, a: Axis, body: readonly Stmt[]): void {
  const size = bound(s, a.size);
  if (hi(size) <= 0) return;
  if (size === 1) {
    bind(s, a.name, 0, () => statements(s, body));
    return;
  }
  if (laneStride(s, size) !== 0) {
    for (const l of lanes) asLane(s, l, () => loop(s, a, body));
    return;
  }
  const fixed = typeof size === "number" ? size : undefined;
  const fits = a.kind === "vector" && fixed !== undefined && !s.lane && s.at === undefined;
  if (fits && fixed % width === 0) {
    for (let base = 0; base < fixed; base += width) withLane(s, a.name, base, () => statements(s, body));
    return;
  }
  if ((a.kind === "unroll" || (fits && fixed <= 2 * width)) && fixed !== undefined) {
    for (let i = 0; i < fixed; i++) bind(s, a.name, i, () => statements(s, body));
    return;
  }
  const count = countCode(s, size);
  const at = indexLocal(s, a.name);
  const position = s.f.read(at);
  const env = s.env;
  s.env = new Map([...env].filter(([name]) => name !== a.name));
  s.f.write(at, i32(0));
  const frame: Frame = { inside: changing(a.name, body), before: [], known: new Map() };
  s.frames.push(frame);
  const inside = aside(s, body);
  s.frames.pop();
  s.env = env;
  const step = s.f.aside(() => s.f.write(at, op("i32.add", position, i32(1))));
  const rounds = repeat([...inside, ...step], op("i32.lt_s", position, count));
  if (fixed !== undefined) s.f.push(...frame.before, rounds);
  else s.f.push(branch(op("i32.gt_s", count, i32(0)), [...frame.before, rounds]));
}
/** Integer variables that change in a loop: its own, and those that its body defines, for each lane too. */
function changing(name: string, body: readonly Stmt[]): ReadonlySet<string> {
  const names = new Set([name]);
  eachStmt(body, (x) => {
    if (x.kind === "for") names.add(x.axis.name);
    else if (x.kind === "letIndex") for (const n of [x.name, ...lanes.map((l) => `${x.name}@${l}`)]) names.add(n);
  });
  return names;
}
function indexLocal(s: State, name: string): number {
  let local = s.indices.get(name);
  if (local === undefined) s.indices.set(name, (local = s.f.local("i32")));
  return local;
}

/** A test that differs from lane to lane: where all lanes pass, whole vectors; otherwise lane by lane. */
function test(s: State, t: Test, body: readonly Stmt[], otherwise: readonly Stmt[] = []): void {
  const known = decided(t);
  if (known !== undefined) {
    statements(s, known ? body : otherwise);
    return;
  }
  const single = (here: Test): Code => branch(testCode(s, here), aside(s, body), aside(s, otherwise));
  if (!varies(s, t)) {
    s.f.push(single(t));
    return;
  }
  const all = deciding(s, t);
  const lets = new Map(s.lets);
  const slow = s.f.aside(() => {
    for (const l of lanes) {
      const here = testIn(s, t, l);
      asLane(s, l, () => {
        const now = decided(here);
        if (now === undefined) s.f.push(single(here));
        else statements(s, now ? body : otherwise);
      });
    }
  });
  s.lets.clear();
  for (const [n, v] of lets) s.lets.set(n, v);
  if (all) s.f.push(branch(testCode(s, testIn(s, t, all.all)), aside(s, body), slow));
  else s.f.push(...slow);
}

function letValue(s: State, name: string, v: Value): void {
  const x = value(s, v);
  // A constant needs no local.
  if (x.constant !== undefined && x.lanes === 1) {
    s.lets.set(name, x);
    return;
  }
  if (x.spread && x.dtype === "f32") {
    const local = s.f.local("v128");
    s.f.write(local, x.spread);
    s.lets.set(name, inAllLanes("f32", s.f.read(local)));
    return;
  }
  const parts = x.parts.map((p) => {
    const local = s.f.local(p.type!);
    return { local, p };
  });
  for (const { local, p } of parts) s.f.write(local, p);
  s.lets.set(name, { dtype: x.dtype, lanes: x.lanes, parts: parts.map(({ local }) => s.f.read(local)) });
}

/** A value as an integer in [least, most]. */
function clamp(s: State, v: Val, least: number, most: Dim): Code {
  if (narrow(most) && scalarType(v.dtype) === "i32" && v.dtype !== "u32") {
    const x = s.f.keep(v.parts[0]!);
    const m = s.f.keep(integer(s, most));
    const low = s.f.keep(select(op("i32.lt_s", x, m), x, m));
    return select(op("i32.gt_s", low, i32(least)), low, i32(least));
  }
  const wide = v.dtype === "u64" ? v : cast(s, v, "i64");
  const x = s.f.keep(wide.parts[0]!);
  const m = s.f.keep(exact(s, most, true));
  const low = s.f.keep(select(op("i64.lt_s", x, m), x, m));
  return op("i32.wrap_i64", select(op("i64.gt_s", low, i64(least)), low, i64(least)));
}
function letIndex(s: State, name: string, v: Value, least: number, most: Dim): void {
  const self = variable(name, least, hi(most));
  const write = (as: string, code: Code): void => s.f.write(indexLocal(s, as), code);
  s.varying.delete(name);
  if (s.env.has(name)) s.env = new Map([...s.env].filter(([n]) => n !== name)); // another branch's name
  // A position needs no value: it is clamped as an expression.
  const whole = v.kind === "index" ? max(least, min(most, bound(s, v.expr))) : undefined;
  if (whole !== undefined && laneStride(s, whole) === 0) {
    write(name, integer(s, whole));
    return;
  }
  const x = whole === undefined ? keep(s, value(s, v)) : undefined;
  if (x && x.lanes === 1 && laneStride(s, most) === 0) {
    write(name, clamp(s, x, least, most));
    return;
  }
  for (const l of lanes) write(`${name}@${l}`, x ? clamp(s, laneOf(x, l), least, inLane(s, most, l)) : integer(s, inLane(s, whole!, l)));
  s.varying.set(name, self);
}

function store(s: State, name: string, index: Dim, v: Value): void {
  const b = bufferOf(s, name);
  const step = laneStride(s, index);
  if (b.space === "reg") {
    const x = value(s, v);
    if (step === 0 || step === 1) {
      writePlace(s, b, place(s, b, index, x.spread !== undefined), x);
      return;
    }
    const kept = keep(s, x);
    for (const [l, at] of lanes.map((l) => inLane(s, index, l)).entries()) writePlace(s, b, place(s, b, at), laneOf(kept, l));
    return;
  }
  const room = roomOf(s, name);
  if (!s.lane) storeOne(s, room, index, value(s, v));
  else if (step === 1) storeFour(s, room, inLane(s, index, 0), spread(s, value(s, v)));
  else if (step === 0) storeOne(s, room, index, laneOf(keep(s, value(s, v)), 3));
  else scatter(s, room, (l) => inLane(s, index, l), spread(s, value(s, v)));
}
/** Index and value of every lane (once, where there is no vector axis). */
function perLane(s: State, index: Dim, v: Value, run: (index: Dim, v: Val) => void): void {
  const x = keep(s, value(s, v));
  if (!s.lane) run(index, x);
  else for (const l of lanes) run(inLane(s, index, l), laneOf(x, l));
}

/** Reads, combines and writes back until nobody came between. */
function atomic(s: State, how: Combiner, name: string, index: Dim, v: Val): void {
  const room = roomOf(s, name);
  const { dtype } = room.buffer;
  if (isHalf(dtype)) throw new UnsupportedError(`WebAssembly has no atomic ${how} of ${dtype}`);
  const bytes = bytesOf(dtype);
  const { code, offset } = addressOf(s, room, index);
  const address = s.f.keep(code);
  const t = bytes === 8 ? "i64" : "i32";
  const narrowed = bytes < 4 ? `${8 * bytes}` : "";
  const old = s.f.temp(t);
  const seen = s.f.temp(t);
  const asBits = (x: Val): Code => {
    const [code] = x.parts as [Code];
    const held = scalarType(x.dtype);
    const raw = held === t ? code : op(`${t}.reinterpret_${held}`, code);
    return bytes < 4 ? op("i32.and", raw, i32(2 ** (8 * bytes) - 1)) : raw;
  };
  const fromBits = (x: Code): Val => {
    const held = scalarType(dtype);
    if (held !== t) return one(dtype, op(`${held}.reinterpret_${t}`, x));
    if (dtype === "bool") return one(dtype, op("i32.ne", x, i32(0)));
    return dtype === "i8" || dtype === "i16" ? one(dtype, op(`i32.extend${8 * bytes}_s`, x)) : one(dtype, x);
  };
  const kept = keep(s, v);
  s.f.write(seen, access(`${t}.atomic.load${narrowed ? `${narrowed}_u` : ""}`, offset, address));
  const body = s.f.aside(() => {
    s.f.write(old, s.f.read(seen));
    const made = apply(s, how, dtype, [fromBits(s.f.read(old)), kept], [dtype, dtype]);
    const exchange = `${t}.atomic.rmw${narrowed}.cmpxchg${narrowed ? "_u" : ""}`;
    s.f.write(seen, access(exchange, offset, address, s.f.read(old), asBits(made)));
  });
  s.f.push(repeat(body, op(`${t}.ne`, s.f.read(seen), s.f.read(old))));
}

type Combine = Extract<Stmt, { kind: "combine" }>;
function combine(s: State, x: Combine): void {
  if (x.threads > 1) throw new UnsupportedError("WebAssembly has no threads inside a grid point; choose a tiling without them");
  const into = bufferOf(s, x.into.buffer);
  if (s.lane && s.at === undefined) {
    // Each lane is a reduction of its own: whole vectors are reduced side by side.
    const each = lanes.map((l) => asLane(s, l, () => keep(s, partial(s, x))));
    writePlace(s, into, place(s, into, bound(s, x.into.index)), sideBySide(s, x.op, each));
    return;
  }
  const total = acrossLanes(s, x.op, keep(s, partial(s, x)));
  writePlace(s, into, place(s, into, bound(s, x.into.index)), total);
}
/** Everything but the last lanes reduced. */
function partial(s: State, x: Combine): Val {
  let total: Val | undefined;
  const add = (v: Val): void => {
    const whole = s.lane ? spread(s, v) : v;
    if (!total) {
      total = keep(s, whole);
      return;
    }
    const [a, b] = total.lanes === whole.lanes ? [total, whole] : [spread(s, total), spread(s, whole)];
    total = keep(s, apply(s, x.op, a.dtype, [a, b], [a.dtype, a.dtype]));
  };
  const walk = (axes: readonly Axis[]): void => {
    const [a, ...rest] = axes;
    if (!a) {
      add(value(s, x.value));
      return;
    }
    const size = bound(s, a.size);
    if (typeof size !== "number") throw new InternalError(`kernel ${s.kernel.name}: combine over ${a.name}, whose size is not constant`);
    if (a.kind === "vector" && size % width === 0 && size > 0 && !s.lane)
      for (let base = 0; base < size; base += width) withLane(s, a.name, base, () => walk(rest));
    else for (let i = 0; i < size; i++) bind(s, a.name, i, () => walk(rest));
  };
  walk(x.axes);
  return total ?? fail(s, "combine over nothing");
}
/** The four lanes of a kept value as one. */
function acrossLanes(s: State, how: Combiner, v: Val): Val {
  if (v.lanes === 1) return v;
  const merge = (a: Val, b: Val): Val => apply(s, how, v.dtype, [a, b], [v.dtype, v.dtype]);
  if (v.parts.length === 2) {
    const half = lanes.map((l) => laneOf(v, l));
    return merge(keep(s, merge(half[0]!, half[2]!)), keep(s, merge(half[1]!, half[3]!)));
  }
  const turn = (x: Val, picks: readonly number[]): Val => four(v.dtype, shuffle(x.parts[0]!, x.parts[0]!, picks));
  const two = keep(s, merge(v, turn(v, [2, 3, 0, 1])));
  return laneOf(keep(s, merge(two, turn(two, [1, 0, 3, 2]))), 0);
}
/** Four kept values, each reduced over its lanes, as the lanes of one. */
function sideBySide(s: State, how: Combiner, each: readonly Val[]): Val {
  const { dtype } = each[0]!;
  if (each.some((v) => v.lanes === 1 || v.parts.length === 2))
    return pack(
      dtype,
      each.map((v) => s.f.keep(acrossLanes(s, how, v).parts[0]!)),
    );
  const merge = (a: Code, b: Code): Val => keep(s, apply(s, how, dtype, [four(dtype, a), four(dtype, b)], [dtype, dtype]));
  const pair = (a: Val, b: Val): Val => {
    const [x, y] = [a.parts[0]!, b.parts[0]!];
    return merge(shuffle(x, y, [0, 4, 1, 5]), shuffle(x, y, [2, 6, 3, 7]));
  };
  const [p, q] = [pair(each[0]!, each[1]!).parts[0]!, pair(each[2]!, each[3]!).parts[0]!];
  return merge(shuffle(p, q, [0, 1, 4, 5]), shuffle(p, q, [2, 3, 6, 7]));
}

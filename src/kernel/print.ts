/**
 * The one printer. It walks a Kernel, unrolls `unroll` axes by substitution, names registers, and writes each vector axis as
 * native vector values, lane by lane with wide loads and stores, or as an inner loop. A Dialect supplies the words.
 */

import { InternalError } from "../core/errors.js";
import { type Dim, divides, hi, max, min, variable } from "../core/expr.js";
import type { KernelCode } from "../runtime/program.js";
import { type Dialect, identifier, type Text } from "./dialect.js";
import type { Axis, Buffer, Kernel, Ref, Stmt, Test, Value } from "./kernel.js";
import { combine } from "./printCombine.js";
import { fragment, place, writePlace } from "./printRegisters.js";
import {
  bind,
  bound,
  bufferOf,
  fresh,
  indexText,
  inLane,
  type Lane,
  type Layout,
  laneName,
  laneStride,
  ownCopies,
  Relayout,
  type State,
  spelled,
  spread,
  within,
} from "./printState.js";
import { accessible, boundTest, decided, deciding, each, fits, oneByOne, testIn, testText, value, varies } from "./printValue.js";

/** Renders a kernel in a dialect. The text depends on nothing but the kernel and the dialect. */
export function print(kernel: Kernel, d: Dialect): KernelCode {
  const layouts = new Map<string, Layout>();
  for (let attempt = 0; attempt <= 3 * kernel.buffers.length; attempt++) {
    const s = fresh(kernel, d, layouts);
    try {
      statements(s, kernel.body);
    } catch (e) {
      if (e instanceof Relayout) continue;
      throw e;
    }
    const registers = [...s.registers].map(([name, r]) =>
      r.size === undefined ? d.variable(name, r.dtype, r.lanes) : d.array(name, r.dtype, r.size),
    );
    return d.finish(kernel, {
      entry: identifier(kernel.name, d.reserved),
      registers,
      body: s.out,
      wide: s.wide,
      name: (n) => spelled(s, n),
      index: (e) => indexText(s, e),
    });
  }
  throw new InternalError(`kernel ${kernel.name}: no layout of its registers holds`);
}

function statements(s: State, body: readonly Stmt[]): void {
  for (const x of body) statement(s, x);
}
function statement(s: State, x: Stmt): void {
  const { d } = s;
  s.hoisted = new Map();
  const at = (e: Dim): string => indexText(s, bound(s, e));
  switch (x.kind) {
    case "for":
      loop(s, x.axis, x.body);
      return;
    case "if":
      branch(s, boundTest(s, x.test), x.body, x.else);
      return;
    case "when":
      either(s, d.branch(value(s, x.test).text), x.body, x.else);
      return;
    case "let":
      letValue(s, x.name, x.value);
      return;
    case "letIndex":
      letIndex(s, x.name, x.value, x.min, bound(s, x.max));
      return;
    case "store":
      store(s, bufferOf(s, x.buffer), bound(s, x.index), x.value, x.hint === "stream");
      return;
    case "atomic": {
      const b = bufferOf(s, x.buffer);
      for (const [index, text] of perLane(s, bound(s, x.index), x.value)) s.out.push(d.atomic(x.op, b, index, text));
      return;
    }
    case "combine":
      combine(s, x);
      return;
    case "prefetch":
      emit(s, d.prefetch(bufferOf(s, x.buffer), at(x.index), x.second === true, x.count ?? 1));
      return;
    case "barrier":
      emit(s, d.barrier(x.warp === true));
      return;
    case "copy":
      emit(s, d.copy(bufferOf(s, x.to.buffer), at(x.to.index), bufferOf(s, x.from.buffer), at(x.from.index), x.count));
      return;
    case "turn":
      emit(
        s,
        d.turn(
          bufferOf(s, x.to.buffer),
          at(x.to.index),
          at(x.toStride),
          bufferOf(s, x.from.buffer),
          at(x.from.index),
          at(x.fromStride),
          x.rows,
        ),
      );
      return;
    case "commit":
      emit(s, d.commit());
      return;
    case "wait":
      emit(s, d.wait(x.pending));
      return;
    case "dependency":
      if (d.dependency) emit(s, d.dependency(x.op));
      return;
    case "registers":
      if (d.registerCount) emit(s, d.registerCount(x.change, x.count));
      return;
    case "copyTile":
      emit(
        s,
        d.copyTile(bufferOf(s, x.to.buffer), at(x.to.index), bufferOf(s, x.from), at(x.origin[0]), at(x.origin[1]), address(s, x.signal)),
      );
      return;
    case "signal":
      emit(s, d.signal(x.op, address(s, x.on), at(x.amount)));
      return;
    case "fill":
      emit(s, d.fill(x.unit, registers(s, x.acc, Math.max(1, x.unit.regs.acc))));
      return;
    case "fetch":
      emit(
        s,
        d.fetch(x.unit, registers(s, x.into, x.count), bufferOf(s, x.from.buffer), at(x.from.index), at(x.stride), {
          transposed: x.transposed,
          stream: x.hint === "stream",
        }),
      );
      return;
    case "mma": {
      const operand = (r: Ref, n: number): string[] =>
        bufferOf(s, r.buffer).space === "shared" ? [spelled(s, r.buffer), at(r.index)] : registers(s, r, n);
      const acc = registers(s, x.acc, Math.max(1, x.unit.regs.acc));
      emit(s, d.mma(x.unit, acc, operand(x.a, x.unit.regs.a), operand(x.b, x.unit.regs.b), x.fresh === true));
      return;
    }
    case "spill":
      emit(s, d.spill(x.unit, registers(s, x.acc, 1), bufferOf(s, x.to.buffer), at(x.to.index), at(x.stride)));
      return;
    case "issue": {
      const [open, close] = d.issue(x.unit);
      emit(s, open);
      statements(s, x.body);
      emit(s, close);
      return;
    }
    case "settle":
      emit(s, d.settle(x.unit, x.pending, x.of ? registers(s, x.of, x.of.count) : []));
      return;
    default:
      x satisfies never;
  }
}
const emit = (s: State, line: string): void => {
  if (line) s.out.push(line);
};
const registers = (s: State, r: Ref, count: number): string[] => fragment(s, bufferOf(s, r.buffer), bound(s, r.index), count);
const address = (s: State, r: Ref): string => `${spelled(s, r.buffer)} + ${indexText(s, bound(s, r.index))}`;

/** Does a body declare names that a repetition would declare again? */
const declares = (body: readonly Stmt[]): boolean =>
  body.some((x) => x.kind === "let" || x.kind === "letIndex" || (x.kind === "for" && declares(x.body)));
function block(s: State, head: string, body: readonly Stmt[]): void {
  s.out.push(head);
  statements(s, body);
  s.out.push("}");
}
function either(s: State, head: string, body: readonly Stmt[], otherwise?: readonly Stmt[]): void {
  s.out.push(head);
  statements(s, body);
  if (otherwise?.length) {
    s.out.push("} else {");
    statements(s, otherwise);
  }
  s.out.push("}");
}

function loop(s: State, a: Axis, body: readonly Stmt[]): void {
  const size = bound(s, a.size);
  if (hi(size) <= 0) return;
  if (size === 1) {
    bind(s, a.name, 0, () => statements(s, body));
    return;
  }
  if (s.lane && s.lane.position === undefined && laneStride(s, size) !== 0) {
    laneByLane(s, () => loop(s, a, body));
    return;
  }
  const fixed = typeof size === "number" ? size : undefined;
  const lanes =
    a.kind === "vector" &&
    fixed !== undefined &&
    !s.lane &&
    s.d.vectors !== "loop" &&
    (s.d.vectors === "unrolled" || Number.isInteger(Math.log2(fixed)));
  if (lanes) {
    const inner = (): void => (declares(body) ? block(s, "{", body) : statements(s, body));
    within(s, { name: a.name, size: fixed }, inner);
    return;
  }
  if (a.kind === "unroll" && fixed !== undefined) {
    const scoped = declares(body);
    for (let i = 0; i < fixed; i++) bind(s, a.name, i, () => (scoped ? block(s, "{", body) : statements(s, body)));
    return;
  }
  block(s, s.d.loop(spelled(s, a.name), indexText(s, size)), body);
}

/** A test that differs from lane to lane: where all lanes pass, whole vectors; otherwise lane by lane. */
function branch(s: State, t: Test, body: readonly Stmt[], otherwise?: readonly Stmt[]): void {
  const known = decided(t);
  if (known !== undefined) {
    const taken = known ? body : (otherwise ?? []);
    if (declares(taken)) block(s, "{", taken);
    else statements(s, taken);
    return;
  }
  if (!varies(s, t)) {
    either(s, s.d.branch(testText(s, t)), body, otherwise);
    return;
  }
  const all = deciding(s, t);
  const single = (): void => {
    either(s, s.d.branch(testText(s, boundTest(s, t))), body, otherwise);
  };
  if (!all) {
    laneByLane(s, single);
    return;
  }
  s.out.push(s.d.branch(s.d.and(all.map((l) => testText(s, testIn(s, t, l))))));
  statements(s, body);
  s.out.push("} else {");
  laneByLane(s, single);
  s.out.push("}");
}
/** Runs a body once per lane: in a loop over native lanes, or repeated. */
function laneByLane(s: State, run: () => void): void {
  const lane = s.lane!;
  const lets = new Map(s.lets);
  if (s.d.vectors === "native") {
    s.out.push(s.d.loop(spelled(s, lane.name), `${lane.size}`));
    oneByOne(s, run);
    s.out.push("}");
  } else
    for (let l = 0; l < lane.size; l++) {
      const keep = s.env;
      s.env = new Map([...keep, [lane.name, l], ...ownCopies(s, l)]);
      s.out.push("{");
      within(s, { ...lane, position: `${l}` }, run);
      s.out.push("}");
      s.env = keep;
    }
  for (const [n, lanes] of lets) s.lets.set(n, lanes);
}

/** Whether lanes are written one by one here. */
const unrolled = (s: State): Lane | undefined =>
  s.lane && s.lane.position === undefined && s.d.vectors === "unrolled" ? s.lane : undefined;

function letValue(s: State, name: string, v: Value): void {
  const lane = unrolled(s);
  if (lane) {
    const texts = each(lane.size, (l) => value(s, v, l));
    for (const [l, t] of texts.entries()) s.out.push(s.d.declare(laneName(s, name, l), t.dtype, 1, t.text));
    s.lets.set(name, lane.size);
    return;
  }
  const t = value(s, v);
  s.lets.set(name, t.lanes);
  s.out.push(s.d.declare(spelled(s, name), t.dtype, t.lanes, t.text));
}

function letIndex(s: State, name: string, v: Value, least: number, most: Dim): void {
  const lane = unrolled(s);
  const self = variable(name, least, hi(most));
  // A position needs no value: it is clamped as an expression.
  const whole = v.kind === "index" ? max(least, min(most, bound(s, v.expr))) : undefined;
  const clamp = (t: Text, l?: number): string => s.d.clamp(t, `${least}`, indexText(s, l === undefined ? most : inLane(s, most, l)));
  const inOne = (l: number): string => (whole === undefined ? clamp(value(s, v, l), l) : indexText(s, inLane(s, whole, l)));
  if (lane) {
    const texts = each(lane.size, inOne);
    for (const [l, t] of texts.entries()) s.out.push(s.d.declareIndex(laneName(s, name, l), t));
    s.varying.set(name, self);
    return;
  }
  s.varying.delete(name);
  if (s.env.has(name)) s.env = new Map([...s.env].filter(([n]) => n !== name)); // another branch's name
  if (whole !== undefined) {
    if (laneStride(s, whole) === 0) {
      s.out.push(s.d.declareIndex(spelled(s, name), indexText(s, whole)));
      return;
    }
    s.out.push(...s.d.declareIndices(spelled(s, name), each(s.lane!.size, inOne)));
    s.varying.set(name, self);
    return;
  }
  const t = value(s, v);
  if (t.lanes === 1) {
    s.out.push(s.d.declareIndex(spelled(s, name), clamp(t)));
    return;
  }
  const all = `t_${s.temps++}`;
  s.out.push(s.d.declare(all, t.dtype, t.lanes, t.text));
  const lanes = each(t.lanes, (l): Text => ({ text: s.d.lane(all, l, t.dtype, t.lanes), lanes: 1, dtype: t.dtype }));
  s.out.push(
    ...s.d.declareIndices(
      spelled(s, name),
      lanes.map((x, l) => clamp(x, l)),
    ),
  );
  s.varying.set(name, self);
}

function store(s: State, b: Buffer, index: Dim, v: Value, stream: boolean): void {
  const lane = unrolled(s);
  if (b.space === "reg") {
    if (lane) {
      const texts = each(lane.size, (l) => value(s, v, l).text);
      for (const [l, t] of texts.entries()) s.out.push(writePlace(s, b, place(s, b, index, l), t));
      return;
    }
    const x = held(s, v, value(s, v));
    const apart = laneStride(s, index);
    if (apart !== 0 && apart !== 1) {
      const name = `t_${s.temps++}`;
      s.out.push(s.d.declare(name, x.dtype, x.lanes, x.text));
      for (let l = 0; l < s.lane!.size; l++) {
        const one = x.lanes === 1 ? name : s.d.lane(name, l, x.dtype, x.lanes);
        s.out.push(writePlace(s, b, place(s, b, inLane(s, index, l)), one));
      }
      return;
    }
    const p = place(s, b, index);
    const lanes = p.kind === "lane" ? 1 : p.lanes;
    s.out.push(writePlace(s, b, p, x.lanes > lanes ? s.d.lane(x.text, x.lanes - 1, x.dtype, x.lanes) : spread(s, x, lanes)));
    return;
  }
  const step = laneStride(s, index);
  if (lane && step === 1) {
    const texts = each(lane.size, (l) => value(s, v, l).text);
    const part = accessible(s, b, lane.size);
    const starts = each(lane.size / part, (i) => inLane(s, index, i * part));
    if (starts.every((first) => fits(s, b, first, part)))
      for (const [i, first] of starts.entries())
        s.out.push(s.d.store(b, indexText(s, first), texts.slice(i * part, (i + 1) * part), part, stream));
    else for (const [l, t] of texts.entries()) s.out.push(s.d.store(b, indexText(s, inLane(s, index, l)), [t], 1, false));
    return;
  }
  if (!lane && s.lane && step === 1) {
    const first = inLane(s, index, 0);
    s.out.push(
      s.d.store(b, indexText(s, first), [spread(s, value(s, v), s.lane.size)], s.lane.size, stream && divides(s.lane.size, first)),
    );
    return;
  }
  for (const [at, text] of perLane(s, index, v)) s.out.push(s.d.store(b, at, [text], 1, false));
}
/** What comes from memory into a register stays there. */
const held = (s: State, v: Value, x: Text): Text =>
  v.kind === "load" && x.lanes > 1 && bufferOf(s, v.buffer).space !== "reg" ? { ...x, text: s.d.held(x.text, x.dtype, x.lanes) } : x;

/** Index and value of every lane (once, where there is no vector axis). */
function perLane(s: State, index: Dim, v: Value): [string, string][] {
  if (!s.lane || s.lane.position !== undefined) return [[indexText(s, index), value(s, v).text]];
  const { size } = s.lane;
  const at = each(size, (l) => indexText(s, inLane(s, index, l)));
  if (unrolled(s)) {
    const texts = each(size, (l) => value(s, v, l).text);
    return at.map((i, l) => [i, texts[l]!]);
  }
  const x = value(s, v);
  const name = `t_${s.temps++}`;
  s.out.push(s.d.declare(name, x.dtype, x.lanes, x.text));
  return at.map((i, l) => [i, x.lanes === 1 ? name : s.d.lane(name, l, x.dtype, x.lanes)]);
}

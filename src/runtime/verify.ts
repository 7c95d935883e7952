/** Checks a Program before anything trusts it: every index, type, name and size, and that the memory plan holds. */
import { bytesOf } from "../core/dtype.js";
import { FormatError } from "../core/errors.js";
import { type Dim, evaluate, hi, lo, mul, show, variables } from "../core/expr.js";
import { numel } from "../core/type.js";
import { buffersOf, whyNoAttention } from "./attention.js";
import { outside, sizedProduct } from "./product.js";
import type { BufferPlan, DimRange, Matrix, Product, Program, Step } from "./program.js";
import { regionsOf, stepBuffers } from "./steps.js";

/** Most bytes that a size may come to: beyond it the numbers are lies. */
const mostBytes = 2 ** 48;
const identifier = /^[A-Za-z_][A-Za-z0-9_]{0,199}$/;

/** Throws FormatError where the program is not sound. */
export function verifyProgram(p: Program, what: string = p.name): void {
  const fail = (why: string): never => {
    throw new FormatError(`${what}: ${why}`);
  };
  const names = new Set<string>();
  for (const d of p.dims) {
    if (!/^[A-Za-z_$#@][\w.$#@]*$/.test(d.name) || names.has(d.name))
      fail(`the dim ${JSON.stringify(d.name.slice(0, 40))} is not a name of its own`);
    if (!(Number.isSafeInteger(d.min) && Number.isSafeInteger(d.max) && d.min >= 0 && d.min <= d.max && d.max <= 2 ** 40))
      fail(`dim ${d.name} ranges over [${d.min}, ${d.max}]`);
    names.add(d.name);
  }
  const range = new Map(p.dims.map((d) => [d.name, d]));
  /** Equal sizes are one object: what was found sane with elements as wide is not looked at again. */
  const sane = new Map<Dim, number>();
  /** A size, count or offset over the program's dims, whose greatest value is sane. */
  const size = (d: Dim, label: string, by: number = 1): void => {
    if ((sane.get(d) ?? 0) >= by) return;
    for (const [name, v] of variables(d)) {
      const r = range.get(name);
      if (!r || lo(v) !== r.min || hi(v) !== r.max)
        fail(`${label} = ${show(d).slice(0, 80)} uses ${name}, which is not a dim of the program with that range`);
    }
    if (!(lo(d) >= 0 && hi(d) * by <= mostBytes)) fail(`${label} = ${show(d).slice(0, 80)} ranges over [${lo(d)}, ${hi(d)}]`);
    sane.set(d, by);
  };

  p.buffers.forEach((b, i) => {
    size(b.size, `the size of buffer ${i}`, bytesOf(b.dtype));
    if (b.offset !== undefined) size(b.offset, `the offset of buffer ${i}`);
    if (b.role === "temp" && b.offset === undefined) fail(`temporary ${i} has no offset`);
    if (b.role === "constant") {
      if (typeof b.size !== "number") fail(`constant ${i} has a symbolic size`);
      if (b.data?.length !== (b.size as number) * bytesOf(b.dtype))
        fail(`constant ${i} has ${b.data?.length ?? "no"} bytes and needs ${(b.size as number) * bytesOf(b.dtype)}`);
    } else if (b.data) fail(`buffer ${i} is no constant and has data`);
  });
  size(p.arena, "the arena");
  const buffer = (i: number, label: string): BufferPlan => {
    const b = Number.isInteger(i) ? p.buffers[i] : undefined;
    return b ?? fail(`${label} is buffer ${i} of ${p.buffers.length}`);
  };

  const ports = { input: p.inputs, output: p.outputs, state: p.state };
  for (const [role, list] of Object.entries(ports)) {
    const seen = new Set<string>();
    for (const port of list) {
      if (seen.has(port.name)) fail(`two ${role}s are called ${port.name}`);
      seen.add(port.name);
      const b = buffer(port.buffer, `${role} ${port.name}`);
      const fits = role === "output" ? b.role === "output" || b.role === "state" || b.role === "input" : b.role === role;
      if (!fits) fail(`${role} ${port.name} is a ${b.role} buffer`);
      if (b.dtype !== port.type.dtype || b.size !== numel(port.type.shape))
        fail(`${role} ${port.name} does not have the type of its buffer`);
      for (const d of port.type.shape) size(d, `a dim of ${port.name}`);
    }
  }
  const given = new Set([...p.inputs, ...p.state].map((x) => x.buffer));
  if (given.size !== p.inputs.length + p.state.length) fail("two inputs or states share a buffer");
  p.buffers.forEach((b, i) => {
    if ((b.role === "input" || b.role === "state") && !given.has(i)) fail(`${b.role} buffer ${i} has no name`);
  });

  const entries = new Set<string>();
  for (const k of p.kernels) {
    if (!identifier.test(k.entry) || entries.has(k.entry))
      fail(`the kernel ${JSON.stringify(k.entry.slice(0, 40))} is not a name of its own`);
    entries.add(k.entry);
    if (!(Number.isInteger(k.threads) && k.threads >= 1 && k.threads <= 1024)) fail(`${k.entry} has ${k.threads} threads`);
    size(k.sharedBytes, `the scratch of ${k.entry}`);
    if (hi(k.sharedBytes) > 2 ** 32) fail(`${k.entry} asks for ${hi(k.sharedBytes)} bytes of scratch`);
    if (k.early && k.early.length !== k.writes.length) fail(`${k.entry} marks ${k.early.length} of ${k.writes.length} arguments`);
    const { chunks } = k;
    if (
      chunks &&
      !(
        Number.isInteger(Math.log2(chunks.bytes)) &&
        chunks.bytes >= 256 &&
        chunks.of.length === k.writes.length &&
        (chunks.from?.length ?? chunks.of.length) === chunks.of.length
      )
    )
      fail(`${k.entry} has wrong chunks`);
    for (const t of k.tiles ?? [])
      if (
        !(
          Number.isInteger(t.buffer) &&
          t.buffer >= 0 &&
          t.buffer < k.writes.length &&
          [t.columns, ...t.box].every((n) => Number.isInteger(n) && n > 0)
        )
      )
        fail(`${k.entry} has a wrong tile`);
  }
  for (const [i, s] of p.steps.entries()) verifyStep(p, s, `step ${i}`, buffer, size, fail);
  verifyMemory(p, fail);
}

function verifyStep(
  p: Program,
  s: Step,
  label: string,
  buffer: (i: number, label: string) => BufferPlan,
  size: (d: Dim, label: string, by?: number) => void,
  fail: (why: string) => never,
): void {
  const written = (i: number): void => {
    const { role } = buffer(i, label);
    if (role === "constant" || role === "input") fail(`${label} writes ${role} buffer ${i}`);
  };
  switch (s.kind) {
    case "launch": {
      const k = p.kernels[s.kernel] ?? fail(`${label} launches kernel ${s.kernel} of ${p.kernels.length}`);
      if (s.buffers.length !== k.writes.length) fail(`${label} gives ${k.entry} ${s.buffers.length} buffers, it takes ${k.writes.length}`);
      s.buffers.forEach((b, i) => {
        buffer(b, label);
        if (k.writes[i]) written(b);
      });
      for (const d of s.dims) size(d, `a dim of ${label}`);
      size(s.grid, `the grid of ${label}`);
      if (s.product) verifyProduct(p, s, s.product, label, size, fail);
      if (s.attention) verifyAttention(p, s, label, fail);
      return;
    }
    case "copy": {
      const [from, to] = [buffer(s.from, label), buffer(s.to, label)];
      written(s.to);
      if (mul(from.size, bytesOf(from.dtype)) !== mul(to.size, bytesOf(to.dtype)))
        fail(`${label} copies between buffers of different sizes`);
      return;
    }
    case "host":
      for (const [list, types] of [
        [s.inputs, s.inputTypes],
        [s.outputs, s.outputTypes],
      ] as const) {
        if (list.length !== types.length) fail(`${label} has ${list.length} buffers and ${types.length} types`);
        list.forEach((b, i) => {
          const plan = buffer(b, label);
          const type = types[i]!;
          if (plan.dtype !== type.dtype || plan.size !== numel(type.shape)) fail(`${label}: buffer ${b} does not have its type`);
          for (const d of type.shape) size(d, `a dim of ${label}`);
        });
      }
      s.outputs.forEach(written);
      return;
    default:
      s satisfies never;
  }
}

/** A library's product names buffers of its step, writes what the kernel writes, and stays inside them. */
function verifyProduct(
  p: Program,
  s: Extract<Step, { kind: "launch" }>,
  x: Product,
  label: string,
  size: (d: Dim, label: string, by?: number) => void,
  fail: (why: string) => never,
): void {
  const { writes } = p.kernels[s.kernel]!;
  for (const d of [x.batch, x.m, x.n, x.k]) size(d, `a size of the product of ${label}`);
  for (const place of [x.a, x.b, x.d, x.c, x.bias]) {
    if (!place) continue;
    if (!(Number.isInteger(place.argument) && s.buffers[place.argument] !== undefined))
      fail(`the product of ${label} has a wrong argument`);
    for (const d of "row" in place ? [place.offset, (place as Matrix).row, (place as Matrix).each] : [place.offset])
      size(d, `a stride of the product of ${label}`);
  }
  writes.forEach((w, i) => {
    if (w !== (i === x.d.argument)) fail(`the product of ${label} does not write what its kernel writes`);
  });
  for (const point of pointsOf(p)) {
    const why = outside(sizedProduct(x, point), (i) => evaluate(p.buffers[s.buffers[i]!]!.size, point));
    if (why) fail(`the product of ${label}: ${why}`);
  }
}

/** A library's attention stays inside its buffers, and writes what the steps write that it stands in for, of which no other has any. */
function verifyAttention(p: Program, s: Extract<Step, { kind: "launch" }>, label: string, fail: (why: string) => never): void {
  const x = s.attention!;
  const known = buffersOf(x);
  for (const b of known.buffers) if (!p.buffers[b]) fail(`the attention of ${label} has no buffer ${b}`);
  const why = whyNoAttention(x, (b) => {
    const { dtype, size } = p.buffers[b]!;
    return typeof size === "number" ? { dtype, elements: size } : fail(`the attention of ${label} has buffer ${b}, whose size is symbolic`);
  });
  if (why) fail(`the attention of ${label}: ${why}`);
  const at = p.steps.indexOf(s);
  const writes = [0, ...x.also].flatMap((n, i, all) => {
    const other = p.steps[at + n];
    if (other?.kind !== "launch" || (i && (n <= all[i - 1]! || other.product || other.attention)))
      return fail(`the attention of ${label} stands in for a wrong step`);
    return other.buffers.filter((_, j) => p.kernels[other.kernel]!.writes[j]);
  });
  known.buffers.forEach((b, i) => {
    if (known.writes[i] && !writes.includes(b)) fail(`the attention of ${label} does not write what its kernels write`);
  });
}

/** Sizes at which plans over symbolic dims are looked at: all of them least, greatest and in between. Devices check each call again. */
function pointsOf(p: Program): Readonly<Record<string, number>>[] {
  if (!p.dims.length) return [{}];
  const at = (pick: (d: DimRange) => number): Readonly<Record<string, number>> => Object.fromEntries(p.dims.map((d) => [d.name, pick(d)]));
  return [at((d) => d.min), at((d) => d.max), at((d) => Math.floor((d.min + d.max) / 2))];
}

/** Temporaries lie in the arena, are written before they are read, and do not meet while both are alive. */
function verifyMemory(p: Program, fail: (why: string) => never): void {
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  const regions = regionsOf(p.steps);
  for (const [at, [from, to]] of regions.entries()) {
    const writtenBy = new Map<number, number>();
    for (let i = from; i < to; i++) {
      const { reads, writes } = stepBuffers(p, p.steps[i]!);
      for (const b of writes) {
        if (writtenBy.has(b)) fail(`step ${i} runs beside step ${writtenBy.get(b)}, and both write buffer ${b}`);
        writtenBy.set(b, i);
      }
      for (const b of [...reads, ...writes]) {
        if (p.buffers[b]!.role !== "temp") continue;
        if (!first.has(b)) {
          if (!writes.includes(b)) fail(`step ${i} reads temporary ${b}, which nothing has written`);
          first.set(b, at);
        }
        last.set(b, at);
      }
    }
    for (let i = from; i < to; i++)
      for (const b of stepBuffers(p, p.steps[i]!).reads)
        if ((writtenBy.get(b) ?? i) !== i) fail(`step ${i} runs beside step ${writtenBy.get(b)}, which writes buffer ${b} that it reads`);
  }
  /** Steps of a region that touch a buffer. */
  const usersIn = (at: number, b: number): number[] => {
    const [from, to] = regions[at]!;
    const found: number[] = [];
    for (let i = from; i < to; i++) {
      const { reads, writes } = stepBuffers(p, p.steps[i]!);
      if (reads.includes(b) || writes.includes(b)) found.push(i);
    }
    return found;
  };
  for (const sizes of pointsOf(p)) {
    const arena = evaluate(p.arena, sizes);
    const placed: { buffer: number; from: number; to: number; first: number; last: number }[] = [];
    p.buffers.forEach((b, i) => {
      if (b.role !== "temp") return;
      const from = evaluate(b.offset!, sizes);
      const to = from + evaluate(b.size, sizes) * bytesOf(b.dtype);
      if (to > arena) fail(`temporary ${i} ends at byte ${to} of an arena of ${arena}`);
      if (from % bytesOf(b.dtype)) fail(`temporary ${i} is not aligned`);
      const begin = first.get(i);
      if (begin !== undefined && to > from) placed.push({ buffer: i, from, to, first: begin, last: last.get(i)! });
    });
    placed.sort((a, b) => a.from - b.from);
    placed.forEach((a, i) => {
      for (let j = i + 1; j < placed.length && placed[j]!.from < a.to; j++) {
        const b = placed[j]!;
        if (a.first > b.last || b.first > a.last) continue;
        // The only last reader of a value may write its result over it, element by element.
        const [old, young] = a.last === b.first ? [a, b] : [b, a];
        const inPlace =
          a.from === b.from && old.last === young.first && sameStep(usersIn(old.last, old.buffer), usersIn(young.first, young.buffer));
        if (!inPlace) fail(`temporaries ${a.buffer} and ${b.buffer} overlap while both are in use`);
      }
    });
  }
}

/** Both lists name one step, the same. */
const sameStep = (a: readonly number[], b: readonly number[]): boolean => a.length === 1 && b.length === 1 && a[0] === b[0];

/**
 * Typed instruction sequences. Every piece knows what it leaves on the stack, and a piece whose operands do not fit is refused when it
 * is made, so what is put together here is always a valid function.
 */
import { InternalError } from "../../../core/errors.js";
import { instructions, type ValType } from "./instructions.js";

/** Bytes in pieces; what depends on the whole module is a function, called last. */
export type Bytes = readonly (number | Bytes | (() => Bytes))[];

/** Instructions that leave one value of a type, or nothing. */
export interface Code {
  readonly type: ValType | undefined;
  readonly bytes: Bytes;
  /** A constant or a local: it may be written again at no cost. */
  readonly simple?: true;
}

export const valTypes: Readonly<Record<ValType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** An unsigned integer below 2^32. */
export function unsigned(n: number): number[] {
  if (!(Number.isInteger(n) && n >= 0 && n < 2 ** 32)) refuse(`${n} is no unsigned integer of 32 bits`);
  const out: number[] = [];
  for (let rest = n; ; ) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    if (!rest) return [...out, low];
    out.push(low | 128);
  }
}
function signed(n: bigint): number[] {
  const out: number[] = [];
  for (let rest = n; ; ) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && !(low & 64)) || (rest === -1n && low & 64)) return [...out, low];
    out.push(low | 128);
  }
}

const refuse = (what: string): never => {
  throw new InternalError(`WebAssembly: ${what}`);
};
const written = (c: Code): Bytes => c.bytes;

/** An instruction on operands. */
export function op(name: string, ...args: readonly Code[]): Code {
  return immediate(name, args, "none", []);
}
/** A load, a store or an atomic: the first operand is the address. */
export function access(name: string, offset: number, ...args: readonly Code[]): Code {
  const bytes = instructions.get(name)?.bytes ?? 0;
  // Atomics must say their natural alignment; for the rest it is only a hint, and elements may lie anywhere.
  const align = name.includes("atomic") ? Math.log2(bytes) : 0;
  return immediate(name, args, "memory", [align, ...unsigned(offset)]);
}
/** A load or store of one lane of a vector. */
export function accessLane(name: string, offset: number, lane: number, ...args: readonly Code[]): Code {
  return immediate(name, args, "memory lane", [0, ...unsigned(offset), checkedLane(name, lane)]);
}
/** Takes or replaces one lane. */
export function onLane(name: string, lane: number, ...args: readonly Code[]): Code {
  return immediate(name, args, "lane", [checkedLane(name, lane)]);
}
const checkedLane = (name: string, lane: number): number =>
  Number.isInteger(lane) && lane >= 0 && lane < (instructions.get(name)?.lanes ?? 0) ? lane : refuse(`${name} has no lane ${lane}`);

function immediate(name: string, args: readonly Code[], kind: string, more: readonly number[]): Code {
  const it = instructions.get(name) ?? refuse(`there is no ${name}`);
  if (it.immediate !== kind) refuse(`${name} is written otherwise`);
  expect(name, args, it.takes);
  return { type: it.gives, bytes: [...args.map(written), ...it.opcode, ...more] };
}
function expect(name: string, args: readonly Code[], takes: readonly ValType[]): void {
  if (args.length !== takes.length || args.some((a, i) => a.type !== takes[i]))
    refuse(`${name} takes (${takes.join(", ")}) and was given (${args.map((a) => a.type).join(", ")})`);
}

/** Four bytes to a lane of 32 bits: lane `i` of the result is lane `picks[i]` of the two operands together. */
export function shuffle(a: Code, b: Code, picks: readonly number[]): Code {
  expect("i8x16.shuffle", [a, b], ["v128", "v128"]);
  if (picks.length !== 4 || picks.some((p) => !(p >= 0 && p < 8))) refuse("a shuffle picks four lanes of eight");
  return { type: "v128", bytes: [a.bytes, b.bytes, 0xfd, 0x0d, ...picks.flatMap((p) => [4 * p, 4 * p + 1, 4 * p + 2, 4 * p + 3])] };
}

export const i32 = (n: number): Code => ({ type: "i32", bytes: [0x41, ...signed(BigInt(n | 0))], simple: true });
export const i64 = (n: bigint | number): Code => ({ type: "i64", bytes: [0x42, ...signed(BigInt.asIntN(64, BigInt(n)))], simple: true });
const floatBytes = (n: number, bytes: 4 | 8): number[] => {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, n, true);
  else view.setFloat64(0, n, true);
  return [...new Uint8Array(view.buffer)];
};
export const f32 = (n: number): Code => ({ type: "f32", bytes: [0x43, ...floatBytes(n, 4)], simple: true });
export const f64 = (n: number): Code => ({ type: "f64", bytes: [0x44, ...floatBytes(n, 8)], simple: true });
const vector = (bytes: readonly number[]): Code => ({ type: "v128", bytes: [0xfd, 0x0c, ...bytes], simple: true });
export const f32x4 = (...lanes: readonly number[]): Code => vector(four(lanes).flatMap((n) => floatBytes(n, 4)));
export const f64x2 = (...lanes: readonly number[]): Code =>
  vector((lanes.length === 1 ? [lanes[0]!, lanes[0]!] : lanes).flatMap((n) => floatBytes(n, 8)));
export const i32x4 = (...lanes: readonly number[]): Code => vector([...new Uint8Array(Int32Array.from(four(lanes)).buffer)]);
export const i64x2 = (...lanes: readonly bigint[]): Code =>
  vector([...new Uint8Array(BigInt64Array.from(lanes.length === 1 ? [lanes[0]!, lanes[0]!] : lanes).buffer)]);
const four = (lanes: readonly number[]): readonly number[] => (lanes.length === 1 ? Array<number>(4).fill(lanes[0]!) : lanes);

export const get = (local: number, type: ValType): Code => ({ type, bytes: [0x20, ...unsigned(local)], simple: true });
export function set(local: number, type: ValType, value: Code): Code {
  expect("local.set", [value], [type]);
  return { type: undefined, bytes: [value.bytes, 0x21, ...unsigned(local)] };
}

function nothing(what: string, body: readonly Code[]): Bytes {
  for (const c of body) if (c.type !== undefined) refuse(`a statement of ${what} leaves ${c.type}`);
  return body.map(written);
}
/** Statements where a condition holds, and others where it does not. */
export function branch(test: Code, body: readonly Code[], otherwise: readonly Code[] = []): Code {
  expect("if", [test], ["i32"]);
  const rest: Bytes = otherwise.length ? [0x05, nothing("else", otherwise)] : [];
  return { type: undefined, bytes: [test.bytes, 0x04, 0x40, nothing("if", body), rest, 0x0b] };
}
/** One of two values; each may have statements before it. Only one side is evaluated. */
export function choose(test: Code, then: readonly Code[], otherwise: readonly Code[]): Code {
  const [a, b] = [then.at(-1), otherwise.at(-1)];
  expect("if", [test], ["i32"]);
  if (!a?.type || a.type !== b?.type) return refuse(`a choice between ${a?.type} and ${b?.type}`);
  const side = (list: readonly Code[]): Bytes => [nothing("a choice", list.slice(0, -1)), list.at(-1)!.bytes];
  return { type: a.type, bytes: [test.bytes, 0x04, valTypes[a.type], side(then), 0x05, side(otherwise), 0x0b] };
}
/** One of two values that are both evaluated. */
export function select(test: Code, a: Code, b: Code): Code {
  if (a.type === undefined || a.type === "v128") return refuse(`select of ${a.type}`);
  expect("select", [a, b, test], [a.type, a.type, "i32"]);
  return { type: a.type, bytes: [a.bytes, b.bytes, test.bytes, 0x1b] };
}
/** Runs its body, and again for as long as the condition then holds. */
export function repeat(body: readonly Code[], again: Code): Code {
  expect("br_if", [again], ["i32"]);
  return { type: undefined, bytes: [0x03, 0x40, nothing("a loop", body), again.bytes, 0x0d, 0, 0x0b] };
}
/** Leaves a value on no stack. */
export function drop(value: Code): Code {
  if (value.type === undefined) refuse("there is nothing to drop");
  return { type: undefined, bytes: [value.bytes, 0x1a] };
}
/** Ends the function, with a value if it gives one. */
export const giveBack = (value?: Code): Code => ({ type: undefined, bytes: [value?.bytes ?? [], 0x0f] });
export const memoryCopy = (to: Code, from: Code, bytes: Code): Code => {
  expect("memory.copy", [to, from, bytes], ["i32", "i32", "i32"]);
  return { type: undefined, bytes: [to.bytes, from.bytes, bytes.bytes, 0xfc, 10, 0, 0] };
};

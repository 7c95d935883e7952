/**
 * Asking for operands before the kernel that reads them runs. Memory rests while one kernel ends and the next begins: what comes next is
 * brought into a cache that all grid points share, by kernels that need nothing of it.
 */
import { bytesOf } from "../core/dtype.js";
import { add, type Dim, hi, indexOn, mul, variable } from "../core/expr.js";
import { numel } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Target } from "../kernel/codegen.js";
import type { Group } from "../kernel/group.js";
import { type Buffer, below, type Kernel, type Stmt } from "../kernel/kernel.js";
import { eachStmt, finishKernel } from "../kernel/walk.js";
import type { AttentionCall, Step, StepNote } from "../runtime/program.js";
import type { Slot } from "./plan.js";

/** An operand that a kernel reads whole and once, each grid point as much of it. */
export interface Stream {
  readonly slot: Slot;
  readonly bytes: number;
  /** Grid points of the kernel that reads it. */
  readonly points: number;
  /** The kernel copies the first of it before anything else: it need not ask for that. */
  readonly copied: boolean;
}
/** A launch before its kernel is rendered. */
export interface Launch {
  readonly kind: "kernel";
  readonly group: Group;
  readonly kernel: Kernel;
  /** Grid points: the kernel's, or none for some sizes. */
  readonly grid: Dim;
  readonly streams: readonly Stream[];
  readonly slotOf: (buffer: string) => Slot;
  /** What a library may compute instead, by the kernel's buffers. */
  readonly product?: Extract<Step, { kind: "launch" }>["product"];
  /** A library's attention in place of this launch and the others of its group. */
  readonly attention?: AttentionCall<string>;
  readonly note: StepNote;
}

/** Operands below this size are not worth asking for, and kernels that write more than one of so many elements that they read do other things too. */
const worth = 1 << 20;
const little = 64;
/** Grid points that run at once; more of them begin where the first ones end. */
const resident = 1024;
/** In how many pieces what comes first is asked for where a stream has more grid points than that. */
const inTurn = 128;
/** Launches to look ahead, and the whole lines of memory that are asked for. */
const furthest = 3;
const line = 128;

/** What a kernel of a group streams, where it sums up much to little. Values that the program makes are near anyway. */
export function streamsOf(group: Group, kernel: Kernel, slotOf: (n: Node) => Slot): readonly Stream[] {
  const { grid } = kernel;
  if (!group.space || typeof grid !== "number") return [];
  const elements = numel(group.space.shape);
  if (!group.outputs.every((x) => hi(numel(x.type.shape)) * little <= hi(elements))) return [];
  const copied = new Set<string>();
  eachStmt(kernel.body, (s) => {
    if (s.kind === "copy") copied.add(s.from.buffer);
  });
  return group.inputs.flatMap((n, i): Stream[] => {
    const slot = slotOf(n);
    if (slot.role === "temp" || slot.role === "output" || typeof slot.size !== "number" || numel(n.type.shape) !== elements) return [];
    const bytes = slot.size * bytesOf(slot.dtype);
    return bytes >= worth && bytes % line === 0 ? [{ slot, bytes, points: grid, copied: copied.has(`in${i}`) }] : [];
  });
}

/** Part of a stream: `bytes` from `from` on, of each of its pieces. */
interface Ask {
  readonly stream: Stream;
  readonly from: number;
  readonly bytes: number;
}

/** The launches that ask for operands, with the kernels that they become. */
export function askAhead(steps: readonly (Launch | Step)[], { ahead }: Target): ReadonlyMap<Launch | Step, Launch> {
  const out = new Map<Launch | Step, Launch>();
  if (!ahead) return out;
  const launches = steps.filter((s) => s.kind === "kernel");
  /** Bytes of each piece of a stream that were asked for. */
  const asked = new Map<Stream, number>();
  const take = (streams: readonly Stream[], budget: number): { readonly asks: readonly Ask[]; readonly left: number } => {
    const open = streams.map((stream) => ({ stream, from: asked.get(stream) ?? 0, size: pieceOf(stream) }));
    const rest = open.reduce((sum, o) => sum + (o.size - o.from) * piecesOf(o.stream), 0);
    const share = Math.min(1, budget / Math.max(1, rest));
    const asks = open.flatMap(({ stream, from, size }): Ask[] => {
      const bytes = Math.floor(((size - from) * share) / line) * line;
      if (bytes <= 0) return [];
      asked.set(stream, from + bytes);
      return [{ stream, from, bytes }];
    });
    return { asks, left: share < 1 ? 0 : budget - rest };
  };
  launches.forEach((l, i) => {
    if (l.product || !l.streams.length) return;
    const before = take(
      l.streams.filter((s) => apart(s) && !s.copied),
      ahead.own,
    ).asks;
    const after: Ask[] = [];
    let budget = ahead.next;
    for (const next of launches.slice(i + 1, i + 1 + furthest)) {
      if (budget < line) break;
      const { asks, left } = take(next.product ? [] : next.streams, budget);
      after.push(...asks);
      budget = left;
    }
    if (before.length || after.length) out.set(l, withAsks(l, before, after));
  });
  return out;
}

/** A stream is a piece for each grid point where those run at once. Otherwise what comes first is asked for first. */
const apart = (s: Stream): boolean => s.points <= resident && s.bytes % (s.points * line) === 0;
const piecesOf = (s: Stream): number => (apart(s) ? s.points : inTurn);
const pieceOf = (s: Stream): number => Math.floor(s.bytes / piecesOf(s) / line) * line;

/** The kernel with what it asks for as it begins, and as each of its grid points ends. */
function withAsks(l: Launch, before: readonly Ask[], after: readonly Ask[]): Launch {
  const { kernel } = l;
  const grid = kernel.grid as number;
  const extra = new Map<string, Slot>();
  const buffers: Buffer[] = [];
  const pid = indexOn("pid", grid);
  const tid = variable("tid", 0, kernel.threads - 1);
  const statement = ({ stream, from, bytes }: Ask): Stmt => {
    const { dtype, size } = stream.slot;
    const name = `ahead${buffers.length}`;
    buffers.push({ name, dtype, space: "global", size });
    extra.set(name, stream.slot);
    const each = bytesOf(dtype);
    const pieces = piecesOf(stream);
    const turns = Math.ceil(pieces / grid);
    const piece: Dim = turns > 1 ? add(mul(tid, grid), pid) : pid;
    const [step, first] = apart(stream) ? [pieceOf(stream), from] : [bytes, from * pieces];
    const index = add(mul(piece, step / each), first / each);
    const ask: Stmt = { kind: "prefetch", buffer: name, index, second: true, count: bytes / each };
    const inside: readonly Stmt[] = turns * grid === pieces ? [ask] : [{ kind: "if", test: below(piece, pieces), body: [ask] }];
    return { kind: "if", test: below(tid, turns), body: inside };
  };
  const body = [...before.map(statement), ...kernel.body, ...after.map(statement)];
  const made = finishKernel(kernel.name, [...kernel.buffers, ...buffers], grid, kernel.threads, body);
  return { ...l, kernel: made, slotOf: (name) => extra.get(name) ?? l.slotOf(name) };
}

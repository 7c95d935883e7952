/// <reference lib="esnext.disposable" preserve="true" />
/** The tensor that users hold: a handle of a cell, or of a view of one. */
import { type NaturalArray, natural } from "../core/convert.js";
import { type DType, isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { numel, showShape, showType, type TensorType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { type Cell, readCell, writeCell } from "./cell.js";
import { derivedFrom } from "./derived.js";
import { engineOf } from "./device.js";
import type { Engine } from "./engine.js";
import type { InPlaceMethods, OpMethods } from "./methods.js";
import { mode } from "./mode.js";
import { flush, notePending, settleCell } from "./pending.js";
import { format } from "./print.js";
import { giveBack, type Storage, storageOf } from "./storage.js";
import { carries, markCarrier, tracked, untracked } from "./track.js";
import { denseStrides, isDense, replay, type Strides, stepsBetween, stridesAfter, type ViewStep, writeThrough } from "./view.js";
import { changed } from "./watch.js";

/** How a view handle comes from another handle. */
interface ViewOf {
  readonly base: Tensor;
  readonly steps: readonly ViewStep[];
  readonly detached: boolean;
  readonly strides: Strides;
}

const leaves = new WeakMap<Node, Tensor>();
/** The leaf tensor that a tracked node is the value of. */
export const leafOf = (n: Node): Tensor | undefined => leaves.get(n);

/** Methods that are ops come from src/ops; `install.ts` puts them on the prototype. */
export interface Tensor extends OpMethods, InPlaceMethods, Extras {}
/** Methods of other files of this folder, installed with the ops. */
export interface Extras {
  /** Selects as Python's brackets do: integers, `[start, stop, step]` ranges, ":" , null (new axis), "...", and index or mask tensors. */
  at(...index: readonly Index[]): Tensor;
  /** Writes where `at` reads. */
  setAt(index: readonly Index[], value: Tensor | number): Tensor;
  /** Accumulates gradients of this value into the `grad` of every leaf that it came from. */
  backward(options?: { readonly gradient?: Tensor; readonly retainGraph?: boolean; readonly createGraph?: boolean }): void;
  /** The same values as another dtype, or on another device. */
  to(target: DType | string, options?: { readonly copy?: boolean }): Tensor;
  /** Takes the values of another tensor, converted and broadcast. */
  copy_(source: Tensor | number): Tensor;
  fill_(value: number | Tensor): Tensor;
  zero_(): Tensor;
  /** Fills with samples of a distribution, from the default generator. */
  uniform_(low?: number, high?: number): Tensor;
  normal_(mean?: number, std?: number): Tensor;
  /** The same values as a variable of its own. */
  clone(): Tensor;
  /** This tensor where its elements lie densely and in order, else a copy. */
  contiguous(): Tensor;
  /** The last two axes exchanged, or for `T` all of them reversed. */
  readonly T: Tensor;
  readonly mT: Tensor;
  float(): Tensor;
  double(): Tensor;
  half(): Tensor;
  bfloat16(): Tensor;
  int(): Tensor;
  long(): Tensor;
  bool(): Tensor;
}
/** One entry of an index. */
export type Index = number | null | string | Tensor | boolean | readonly (number | null)[];

/** An n-dimensional array of numbers, recorded lazily and computed when a value is asked for. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the merged methods are put on the prototype by install.ts
export class Tensor {
  cell: Cell;
  private view: ViewOf | undefined;
  private type: TensorType;
  private leaf = false;
  private gradient: Tensor | null = null;
  /** The tracked node of the last version that was read. */
  private mark: Node | undefined;
  private cached: { readonly base: Node; readonly version: number; readonly node: Node } | undefined;
  private disposed = false;
  retainsGrad = false;
  /** Somebody is told when it becomes a handle of another cell, or gradients are wanted or no more. */
  watched = false;

  constructor(cell: Cell, view?: ViewOf, type: TensorType = cell.type) {
    this.cell = cell;
    this.view = view;
    this.type = type;
    if (view) cell.handles++;
  }

  /** Sizes of the axes. While a function is traced with sizes that change, such a size is an expression, to be passed on as it is. */
  get shape(): readonly number[] {
    return this.type.shape as readonly number[];
  }
  get dtype(): DType {
    return this.type.dtype;
  }
  get ndim(): number {
    return this.type.shape.length;
  }
  /** Size of one axis. */
  size(dim: number): number {
    const n = this.ndim;
    if (!(dim >= -n && dim < n)) throw new ShapeError(`size: dim ${dim} is out of range for a tensor of rank ${n}`);
    return this.shape[dim < 0 ? dim + n : dim]!;
  }
  numel(): number {
    return numel(this.type.shape) as number;
  }
  /** Name of the device; the default device has its name once it is open. */
  get device(): string {
    return engineOf(this.cell.device).name || "default";
  }

  // Values as recorded nodes.

  /** The node that a recorded op reads. */
  read(track: boolean = mode.grad): Node {
    if (this.disposed) throw new ArgumentError("a tensor is used after it was disposed");
    if (mode.trace && this.cell.trace !== mode.trace) mode.trace.handle(this);
    const through = track && !this.view?.detached;
    const n = this.view ? this.replayed(this.view.base.read(through)) : readCell(this.cell);
    const m = through ? n : untracked(n);
    return track && this.leaf ? this.marked(m) : m;
  }
  private replayed(base: Node): Node {
    const { version } = this.cell;
    if (this.cached?.base !== base || this.cached.version !== version)
      this.cached = { base, version, node: replay(this.view!.steps, base) };
    if (carries(base)) markCarrier(this.cached.node);
    return this.cached.node;
  }
  private marked(n: Node): Node {
    if (this.mark?.inputs[0] !== n) {
      this.mark = tracked(n);
      leaves.set(this.mark, this);
    }
    return this.mark;
  }
  /** The node of the value itself, for running it. */
  value(): Node {
    if (this.disposed) throw new ArgumentError("a tensor is read after it was disposed");
    return this.view ? this.replayed(this.view.base.value()) : mode.trace ? mode.trace.read(this.cell) : this.cell.value;
  }
  /** The realised value, if there is one. */
  storage(): Storage | undefined {
    return this.view || mode.trace || this.disposed ? storageOf(this.value()) : this.cell.realised;
  }
  /** Replaces the value, through views. `value` has this tensor's type. */
  write(value: Node): void {
    if (!this.view) {
      writeCell(this.cell, value);
      notePending(this.cell, true);
      return;
    }
    const { base, steps, detached } = this.view;
    const before = base.read(mode.grad && !detached);
    const after = writeThrough(steps, before, value);
    if (mode.grad && (carries(before) || carries(value))) markCarrier(after);
    base.write(after);
  }
  /** A handle of what `result`, recorded from this tensor's `base` node, shows of this tensor; undefined where it is no view. */
  viewTo(base: Node, result: Node): Tensor | undefined {
    const steps = stepsBetween(base, result);
    if (!steps) return undefined;
    const strides = stridesAfter(this.strides, this.type.shape, steps);
    if (strides === null) return undefined;
    const t = new Tensor(this.cell, { base: this, steps, detached: false, strides }, result.type);
    t.cached = { base, version: this.cell.version, node: result };
    return t;
  }
  private get strides(): Strides {
    return this.view ? this.view.strides : denseStrides(this.type.shape);
  }
  /** Distances in elements between neighbours along each axis, as PyTorch's. */
  stride(): readonly number[] {
    return this.strides ?? [];
  }
  isContiguous(): boolean {
    return isDense(this.strides, this.type.shape);
  }
  /** True where both are handles of one storage. */
  sharesStorage(other: Tensor): boolean {
    return this.cell === other.cell;
  }

  // Gradients.

  get requiresGrad(): boolean {
    if (mode.trace && this.cell.trace !== mode.trace) mode.trace.handle(this);
    if (this.leaf) return true;
    if (this.view) return !this.view.detached && this.view.base.requiresGrad && isFloat(this.dtype);
    return carries(mode.trace ? mode.trace.read(this.cell) : this.cell.value);
  }
  set requiresGrad(on: boolean) {
    this.requiresGrad_(on);
  }
  /** True for tensors that gradients accumulate in, and for those that have none. */
  get isLeaf(): boolean {
    return this.leaf || !this.requiresGrad;
  }
  /** Says whether gradients with respect to this tensor are wanted. */
  requiresGrad_(on: boolean = true): this {
    if (on && !isFloat(this.dtype)) throw new DTypeError(`requiresGrad: only float tensors have gradients, not ${showType(this.type)}`);
    if (this.leaf === on) return this;
    if (!on && !this.isLeaf) throw new ArgumentError("requiresGrad can be turned off for leaves only; use detach()");
    if (on && this.requiresGrad) return this;
    mode.trace?.guard(() => this.leaf);
    this.leaf = on;
    if (this.watched) changed();
    return this;
  }
  /** The accumulated gradient of a leaf. */
  get grad(): Tensor | null {
    return mode.trace ? mode.trace.readGrad(this, this.gradient) : this.gradient;
  }
  set grad(g: Tensor | null) {
    if (g && (g.dtype !== this.dtype || showShape(g.shape) !== showShape(this.shape)))
      throw new ShapeError(`grad: a gradient of type ${showType(g.type)} for a tensor of type ${showType(this.type)}`);
    if (mode.trace) mode.trace.writeGrad(this, g);
    else this.gradient = g;
  }
  /** Whether `requiresGrad_` was called on this very handle. */
  get isGradLeaf(): boolean {
    return this.leaf;
  }
  /** The gradient that the tensor has outside of the running trace. */
  outsideGrad(): Tensor | null {
    return this.gradient;
  }
  /** Sets the gradient whatever is being traced. */
  setGradient(g: Tensor | null): void {
    this.gradient = g;
  }
  /** Keeps the gradient of a tensor that is no leaf. */
  retainGrad(): this {
    if (!this.requiresGrad) throw new ArgumentError("retainGrad: this tensor does not require gradients");
    if (!this.leaf) {
      this.retainsGrad = true;
      leaves.set(this.read(true), this);
    }
    return this;
  }
  /** A handle of the same storage that gradients do not pass (torch.Tensor.detach). */
  detach(): Tensor {
    return new Tensor(this.cell, { base: this, steps: [], detached: true, strides: this.strides }, this.type);
  }
  /** Throws where PyTorch refuses to change a leaf that gradients are recorded for. */
  checkInPlace(name: string): void {
    if (!mode.grad) return;
    for (let t: Tensor | undefined = this; t; t = t.view?.detached ? undefined : t.view?.base)
      if (t.leaf)
        throw new ArgumentError(
          `${name}: ${t === this ? "a leaf" : "a view of a leaf"} that requires gradients is changed in place; do it inside noGrad(() => ...)`,
        );
  }

  // Values on the host.

  private engine(): Engine {
    return engineOf(this.cell.device);
  }
  /** Records that this value runs now; the storage that it fills. */
  private run(what: string): Storage {
    mode.trace?.refuse(what);
    const node = this.value();
    if (!storageOf(node)) {
      flush([{ engine: this.engine(), nodes: [node] }]).catch(() => {});
    }
    if (!this.view) settleCell(this.cell);
    return storageOf(node)!;
  }
  /** Submits what this value needs, without waiting. */
  schedule(): void {
    this.run("evaluate()");
  }
  /** Makes this handle one of another tensor's storage, of whatever type; its gradient is forgotten. For `Module.to`. */
  rebind(other: Tensor): void {
    this.cell = other.cell;
    this.view = other.view && { ...other.view };
    this.type = other.type;
    this.gradient = null;
    this.mark = undefined;
    this.cached = undefined;
    if (this.watched) changed();
  }
  /** The raw little-endian bytes. */
  async bytes(): Promise<Uint8Array> {
    return (await this.engine().read(this.run("bytes()"))).slice();
  }
  /** The elements in row-major order: f16 and bf16 as Float32Array, 64-bit integers as bigint arrays, bool as 0 and 1. */
  async data(): Promise<NaturalArray> {
    return natural(this.dtype, await this.engine().read(this.run("data()")));
  }
  /** `data()` on devices that can block. */
  dataSync(): NaturalArray {
    return natural(this.dtype, this.engine().readSync(this.run("dataSync()")));
  }
  /** The one element, as a number; a bigint where a number does not hold it exactly. */
  async item(): Promise<number> {
    this.mustBeOne("item");
    return scalarOf(await this.data()) as number;
  }
  itemSync(): number {
    this.mustBeOne("itemSync");
    return scalarOf(this.dataSync()) as number;
  }
  private mustBeOne(name: string): void {
    if (this.numel() !== 1) throw new ShapeError(`${name}: ${showType(this.type)} has ${this.numel()} elements, not one`);
  }
  /** Nested arrays of the elements. */
  async toArray(): Promise<unknown> {
    const flat = await this.data();
    const build = (d: number, from: number, step: number): unknown => {
      if (d === this.ndim) return this.dtype === "bool" ? flat[from] !== 0 : flat[from];
      const inner = step / Math.max(this.shape[d]!, 1);
      return Array.from({ length: this.shape[d]! }, (_, i) => build(d + 1, from + i * inner, inner));
    };
    return build(0, 0, flat.length);
  }
  /** Waits for the values and prints them. */
  async print(): Promise<void> {
    console.log(format(this.type, await this.data(), this.requiresGrad));
  }
  /** The values once they are on the host, else the type. */
  toString(): string {
    const host = this.disposed || mode.trace ? undefined : storageOf(this.value())?.host;
    return host ? format(this.type, natural(this.dtype, host), this.requiresGrad) : `Tensor(${showType(this.type)})`;
  }

  /** Gives the memory back now, where no view and no recorded operation needs it. Never necessary. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    if (--this.cell.handles > 0) return;
    this.cell.dispose();
    const s = storageOf(this.cell.value);
    if (s) giveBack(s);
    for (const d of derivedFrom(this.cell)) d.drop();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function scalarOf(data: NaturalArray): number | bigint {
  const x = data[0]!;
  if (typeof x !== "bigint") return x;
  return x >= BigInt(Number.MIN_SAFE_INTEGER) && x <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(x) : x;
}

/** Runs everything that the tensors need, in one program for each device, and waits for it. */
export async function evaluate(...tensors: readonly Tensor[]): Promise<void> {
  mode.trace?.refuse("evaluate()");
  const done = flush(tensors.map((t) => ({ engine: engineOf(t.cell.device), nodes: [t.value()] })));
  for (const t of tensors) if (t.cell.value === t.value()) settleCell(t.cell);
  await done;
}
/** What Node prints for a tensor. */
Object.defineProperty(Tensor.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Tensor): string {
    return this.toString();
  },
});

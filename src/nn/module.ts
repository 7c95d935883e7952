/** Modules: objects whose fields are parameters, buffers and other modules. Nothing is registered; fields are found. */

import { type DType, dtypes, isFloat } from "../core/dtype.js";
import { ArgumentError, ShapeError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import { fieldsOf, noteModule, quietly } from "../tensor/fields.js";
import { noGrad, Tensor } from "../tensor/index.js";
import { lasting } from "../tensor/step.js";
import { isBlank } from "./blank.js";

/** A tensor that is trained: it requires gradients, and optimizers and state dicts find it. */
export class Parameter extends Tensor {}
/** A tensor that belongs to a module's state but is not trained: running statistics, masks. */
export class Buffer extends Tensor {
  /** False: not part of the state dict. */
  persistent = true;
}
/** Makes a tensor a parameter. It keeps its values; what recorded it is let go. */
export function parameter(value: Tensor, options: { readonly requiresGrad?: boolean } = {}): Parameter {
  const p = new Parameter((isBlank() ? value : value.detach().clone()).cell);
  if (options.requiresGrad ?? isFloat(p.dtype)) p.requiresGrad_();
  return lasting(p);
}
/** Makes a tensor a buffer. */
export function buffer(value: Tensor, options: { readonly persistent?: boolean } = {}): Buffer {
  const b = new Buffer(value.detach().clone().cell);
  b.persistent = options.persistent ?? true;
  return lasting(b);
}

/** What `loadStateDict` did not find a place, or a value, for. */
export interface LoadResult {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}
/** Tensors by their PyTorch names. */
export type StateDict = Record<string, Tensor>;

const snake = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();

/** Base of all modules (torch.nn.Module). */
export abstract class Module {
  training = true;

  constructor() {
    noteModule(this);
  }

  /** What the module computes. */
  abstract forward(...args: never[]): unknown;

  /** The name that a field has in state dicts: PyTorch's, `runningMean` is `running_mean`. */
  protected stateKey(field: string): string {
    return snake(field);
  }
  /** Fields that hold modules, with their keys. */
  namedChildren(): [string, Module][] {
    const out: [string, Module][] = [];
    for (const [field, value] of fieldsOf(this)) {
      if (value instanceof Module) out.push([this.stateKey(field), value]);
      else if (Array.isArray(value))
        value.forEach((v, i) => {
          if (v instanceof Module) out.push([`${this.stateKey(field)}.${i}`, v]);
        });
    }
    return out;
  }
  children(): Module[] {
    return this.namedChildren().map(([, m]) => m);
  }
  /** This module and all below it, each once, with dotted names. */
  *namedModules(prefix: string = "", seen: Set<Module> = new Set()): Generator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [key, child] of this.namedChildren()) yield* child.namedModules(join(prefix, key), seen);
  }
  modules(): Module[] {
    return [...this.namedModules()].map(([, m]) => m);
  }
  private *own<T extends Tensor>(kind: new (...args: never[]) => T): Generator<[string, T]> {
    for (const [field, value] of fieldsOf(this)) {
      if (value instanceof kind) yield [this.stateKey(field), value];
      else if (Array.isArray(value)) for (const [i, v] of value.entries()) if (v instanceof kind) yield [`${this.stateKey(field)}.${i}`, v];
    }
  }
  /** Parameters of this module and all below it, each once. */
  namedParameters(): [string, Parameter][] {
    return this.collect(Parameter);
  }
  parameters(): Parameter[] {
    return this.namedParameters().map(([, p]) => p);
  }
  namedBuffers(): [string, Buffer][] {
    return this.collect(Buffer);
  }
  buffers(): Buffer[] {
    return this.namedBuffers().map(([, b]) => b);
  }
  private collect<T extends Tensor>(kind: new (...args: never[]) => T): [string, T][] {
    const seen = new Set<Tensor>();
    const out: [string, T][] = [];
    for (const [prefix, m] of this.namedModules())
      for (const [key, t] of m.own(kind)) {
        if (seen.has(t)) continue;
        seen.add(t);
        out.push([join(prefix, key), t]);
      }
    return out;
  }

  /** Parameters and persistent buffers under PyTorch's keys. The tensors share memory with the module; shared ones appear under each of their names. */
  stateDict(): StateDict {
    const out: StateDict = {};
    for (const [key, t] of this.stateEntries("", [])) out[key] = t.detach();
    return out;
  }
  private *stateEntries(prefix: string, path: readonly Module[]): Generator<[string, Tensor]> {
    if (path.includes(this)) throw new ArgumentError(`stateDict: module ${prefix} contains itself`);
    for (const [key, p] of this.own(Parameter)) yield [join(prefix, key), p];
    for (const [key, b] of this.own(Buffer)) if (b.persistent) yield [join(prefix, key), b];
    for (const [key, child] of this.namedChildren()) yield* child.stateEntries(join(prefix, key), [...path, this]);
  }
  /** Takes values from a state dict; they are converted to this module's dtypes. Nothing is changed where `strict` finds a fault. */
  loadStateDict(dict: Readonly<Record<string, Tensor>>, options: { readonly strict?: boolean } = {}): LoadResult {
    const own = new Map(this.stateEntries("", []));
    const missing = [...own.keys()].filter((k) => !(k in dict));
    const unexpected = Object.keys(dict).filter((k) => !own.has(k));
    const wrong = [...own].flatMap(([k, t]) => {
      const given = dict[k];
      return given && showShape(given.shape) !== showShape(t.shape)
        ? [`${k} has shape ${showShape(given.shape)} and needs ${showShape(t.shape)}`]
        : [];
    });
    const faults = [
      ...(options.strict !== false && missing.length ? [`missing: ${list(missing)}`] : []),
      ...(options.strict !== false && unexpected.length ? [`unexpected: ${list(unexpected)}`] : []),
      ...(wrong.length ? [`wrong shape: ${list(wrong)}`] : []),
    ];
    if (wrong.length) throw new ShapeError(`loadStateDict of ${this.constructor.name}: ${faults.join("; ")}`);
    if (faults.length)
      throw new ArgumentError(`loadStateDict of ${this.constructor.name}: ${faults.join("; ")}; pass { strict: false } to load the others`);
    noGrad(() => {
      for (const [k, t] of own) {
        const given = dict[k];
        if (given) t.copy_(given);
      }
    });
    return { missing, unexpected };
  }

  /** Sets training mode here and below: dropout drops, batch norms use their batch. */
  train(on: boolean = true): this {
    for (const m of this.modules()) m.training = on;
    return this;
  }
  eval(): this {
    return this.train(false);
  }
  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const p of this.parameters()) p.grad = null;
  }
  requiresGrad_(on: boolean = true): this {
    for (const p of this.parameters()) p.requiresGrad_(on);
    return this;
  }
  /** Calls `f` with every module, inner ones first. */
  apply(f: (m: Module) => void): this {
    for (const child of this.children()) child.apply(f);
    f(this);
    return this;
  }
  /** Converts float parameters and buffers to a dtype, or moves all to a device. Optimizers that hold them stay valid. */
  to(target: DType | (string & {})): this {
    const dtype = target in dtypes;
    for (const t of [...this.parameters(), ...this.buffers()]) {
      if (dtype && !isFloat(t.dtype)) continue;
      const moved = noGrad(() => t.detach().to(target));
      if (moved.dtype !== t.dtype || moved.cell.device !== t.cell.device) t.rebind(moved);
    }
    return this;
  }
  /** The module and those below it, as text. */
  toString(): string {
    return quietly(() => {
      const inner = this.namedChildren().map(([key, m]) => `  (${key}): ${m.toString().replaceAll("\n", "\n  ")}`);
      return `${this.constructor.name}(${this.describe()}${inner.length ? `\n${inner.join("\n")}\n` : ""})`;
    });
  }
  /** What stands between the brackets of `toString`. */
  protected describe(): string {
    return "";
  }
}
const join = (prefix: string, key: string): string => (prefix && key ? `${prefix}.${key}` : prefix || key);
const list = (names: readonly string[]): string =>
  names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
/** What Node prints for a module. */
Object.defineProperty(Module.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Module): string {
    return this.toString();
  },
});

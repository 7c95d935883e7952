/** Modules that hold modules. */
import { ArgumentError } from "../core/errors.js";
import type { Tensor } from "../tensor/index.js";
import { Module, type Parameter } from "./module.js";

/** Modules one after another (torch.nn.Sequential). */
export class Sequential extends Module {
  readonly layers: Module[];
  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }
  override namedChildren(): [string, Module][] {
    return this.layers.map((m, i) => [`${i}`, m]);
  }
  forward(x: Tensor): Tensor {
    let y = x;
    for (const m of this.layers) y = (m as Module & { forward(x: Tensor): Tensor }).forward(y);
    return y;
  }
  at(i: number): Module {
    return element(this.layers, i);
  }
  append(m: Module): this {
    this.layers.push(m);
    return this;
  }
  get length(): number {
    return this.layers.length;
  }
  [Symbol.iterator](): Iterator<Module> {
    return this.layers[Symbol.iterator]();
  }
}
/** A list of modules that are found as children (torch.nn.ModuleList). */
export class ModuleList<M extends Module = Module> extends Module {
  readonly items: M[];
  constructor(items: Iterable<M> = []) {
    super();
    this.items = [...items];
  }
  override namedChildren(): [string, Module][] {
    return this.items.map((m, i) => [`${i}`, m]);
  }
  forward(): never {
    throw new ArgumentError("ModuleList has no forward; iterate over it");
  }
  at(i: number): M {
    return element(this.items, i);
  }
  append(m: M): this {
    this.items.push(m);
    return this;
  }
  get length(): number {
    return this.items.length;
  }
  [Symbol.iterator](): Iterator<M> {
    return this.items[Symbol.iterator]();
  }
}
/** Modules by name (torch.nn.ModuleDict). */
export class ModuleDict<M extends Module = Module> extends Module {
  readonly entries: Record<string, M>;
  constructor(entries: Readonly<Record<string, M>> = {}) {
    super();
    this.entries = { ...entries };
  }
  override namedChildren(): [string, Module][] {
    return Object.entries(this.entries);
  }
  forward(): never {
    throw new ArgumentError("ModuleDict has no forward; take modules from it with get()");
  }
  get(name: string): M {
    const m = this.entries[name];
    if (!m) throw new ArgumentError(`ModuleDict has no ${name}; it has ${Object.keys(this.entries).join(", ")}`);
    return m;
  }
  set(name: string, m: M): this {
    this.entries[name] = m;
    return this;
  }
}
/** A list of parameters (torch.nn.ParameterList). */
export class ParameterList extends Module {
  readonly items: Parameter[];
  constructor(items: Iterable<Parameter> = []) {
    super();
    this.items = [...items];
  }
  protected override stateKey(field: string): string {
    return field === "items" ? "" : super.stateKey(field);
  }
  forward(): never {
    throw new ArgumentError("ParameterList has no forward; iterate over it");
  }
  [Symbol.iterator](): Iterator<Parameter> {
    return this.items[Symbol.iterator]();
  }
}
function element<T>(list: readonly T[], i: number): T {
  const x = list.at(i);
  if (x === undefined) throw new ArgumentError(`there is no element ${i} in a list of ${list.length}`);
  return x;
}

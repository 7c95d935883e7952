/** A module of functions over one imported memory, as bytes. */
import { InternalError } from "../../../core/errors.js";
import { type Bytes, type Code, get, set, unsigned, valTypes } from "./code.js";
import type { ValType } from "./instructions.js";

export interface Signature {
  readonly takes: readonly ValType[];
  readonly gives: ValType | undefined;
}

/** A function while it is written: its locals, and the statements so far. */
export class Func {
  readonly module: Module;
  readonly signature: Signature;
  readonly #types: ValType[];
  readonly #free = new Map<ValType, number[]>();
  #taken: { readonly local: number; readonly type: ValType }[] = [];
  #out: Code[] = [];

  constructor(module: Module, signature: Signature) {
    this.module = module;
    this.signature = signature;
    this.#types = [...signature.takes];
  }
  /** A local that is nobody else's. */
  local(type: ValType): number {
    return this.#types.push(type) - 1;
  }
  typeOf(local: number): ValType {
    return this.#types[local] ?? refuse(`there is no local ${local}`);
  }
  read(local: number): Code {
    return get(local, this.typeOf(local));
  }
  /** Adds a statement. */
  push(...statements: readonly Code[]): void {
    this.#out.push(...statements);
  }
  write(local: number, value: Code): void {
    this.push(set(local, this.typeOf(local), value));
  }
  /** The value, to be used more than once: evaluated here, where it is not a constant or a local already. */
  keep(value: Code): Code {
    if (value.simple) return value;
    const local = this.temp(value.type ?? refuse("a statement is no value"));
    this.write(local, value);
    return this.read(local);
  }
  /** A local until the scope ends. */
  temp(type: ValType): number {
    const local = this.#free.get(type)?.pop() ?? this.local(type);
    this.#taken.push({ local, type });
    return local;
  }
  /** Gives back, when it ends, the locals that `keep` and `temp` took meanwhile. */
  scope<T>(run: () => T): T {
    const before = this.#taken;
    this.#taken = [];
    const result = run();
    for (const { local, type } of this.#taken) {
      const list = this.#free.get(type) ?? [];
      this.#free.set(type, list);
      list.push(local);
    }
    this.#taken = before;
    return result;
  }
  /** Runs, and returns the statements that were added instead of adding them. */
  aside(run: () => void): Code[] {
    const before = this.#out;
    this.#out = [];
    run();
    const mine = this.#out;
    this.#out = before;
    return mine;
  }
  /** The statements that lead to a value, and the value as the last. */
  yielding(run: () => Code): Code[] {
    let value: Code | undefined;
    const before = this.aside(() => {
      value = run();
    });
    return [...before, value!];
  }
  /** The function's code, for when the module is complete; a result is what the last statement leaves. */
  body(result?: Code): () => Bytes {
    if (result?.type !== this.signature.gives) refuse(`a function that gives ${this.signature.gives} ends with ${result?.type}`);
    for (const c of this.#out) if (c.type !== undefined) refuse(`a statement leaves ${c.type}`);
    const runs: { type: ValType; count: number }[] = [];
    for (const type of this.#types.slice(this.signature.takes.length)) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    const locals = [unsigned(runs.length), runs.map((r) => [...unsigned(r.count), valTypes[r.type]])];
    return () => {
      const code = flatten([...locals, this.#out.map((c) => c.bytes), result?.bytes ?? [], 0x0b]);
      return [unsigned(code.length), code];
    };
  }
}

interface Import {
  readonly from: string;
  readonly name: string;
  readonly signature: Signature;
}

/** What a module consists of while it is written. */
export class Module {
  readonly #types: Signature[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: { readonly signature: Signature; readonly code: () => Bytes; readonly exported: string | undefined }[] = [];
  readonly #named = new Map<string, number>();
  #table = false;

  #type(s: Signature): number {
    const same = this.#types.findIndex((t) => t.gives === s.gives && t.takes.join() === s.takes.join());
    return same >= 0 ? same : this.#types.push(s) - 1;
  }
  /** A call of an imported function. */
  callImport(from: string, name: string, signature: Signature, args: readonly Code[]): Code {
    let at = this.#imports.findIndex((x) => x.from === from && x.name === name);
    if (at < 0) at = this.#imports.push({ from, name, signature }) - 1;
    return this.#call(`${from}.${name}`, signature, args, () => unsigned(at));
  }
  /** A call of a function of this module that is written when it is first called. */
  call(name: string, signature: Signature, args: readonly Code[], make: (f: Func) => Code | undefined): Code {
    let at = this.#named.get(name);
    if (at === undefined) {
      at = this.#functions.length;
      this.#named.set(name, at);
      this.#reserve(signature);
      const f = new Func(this, signature);
      this.#functions[at] = { signature, code: f.body(make(f)), exported: undefined };
    }
    const index = at;
    return this.#call(name, signature, args, () => unsigned(this.#imports.length + index));
  }
  #reserve(signature: Signature): void {
    this.#functions.push({ signature, code: () => refuse("a function was never written"), exported: undefined });
  }
  #call(name: string, s: Signature, args: readonly Code[], index: () => Bytes): Code {
    if (args.map((a) => a.type).join() !== s.takes.join())
      refuse(`${name} takes (${s.takes.join()}) and was given (${args.map((a) => a.type).join()})`);
    return { type: s.gives, bytes: [...args.map((a) => a.bytes), 0x10, index] };
  }
  /** A call of whatever stands at a place of the imported table. */
  callTable(place: Code, signature: Signature, args: readonly Code[]): Code {
    this.#table = true;
    if ([...args, place].map((a) => a.type).join() !== [...signature.takes, "i32"].join()) refuse("a call through the table does not fit");
    return { type: signature.gives, bytes: [...args.map((a) => a.bytes), place.bytes, 0x11, ...unsigned(this.#type(signature)), 0] };
  }
  /** Adds an exported function; `make` writes it. */
  add(exported: string, signature: Signature, make: (f: Func) => Code | undefined): void {
    const at = this.#functions.length;
    this.#reserve(signature);
    const f = new Func(this, signature);
    this.#functions[at] = { signature, code: f.body(make(f)), exported };
  }
  /** The bytes. The memory is imported as `m.memory`, shared and of up to 4 GiB, the table as `m.table`. */
  encode(): Uint8Array {
    const imports = this.#imports.map((x) => [text(x.from), text(x.name), 0x00, unsigned(this.#type(x.signature))]);
    const functions = this.#functions.map((f) => unsigned(this.#type(f.signature)));
    const exported = this.#functions.flatMap((f, i) =>
      f.exported === undefined ? [] : [[text(f.exported), 0x00, unsigned(this.#imports.length + i)]],
    );
    const table = this.#table ? [[text("m"), text("table"), 0x01, 0x70, 0x00, 0x00]] : [];
    const memory = [text("m"), text("memory"), 0x02, sharedMemory, 0x00, unsigned(65536)];
    const types = this.#types.map((t) => [0x60, list(t.takes.map((x) => [valTypes[x]])), list(t.gives ? [[valTypes[t.gives]]] : [])]);
    return Uint8Array.from(
      flatten([
        [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
        // The memory is the first import: whoever loads the module finds it without reading the rest.
        section(2, list([memory, ...table, ...imports]), section(1, list(types))),
        section(3, list(functions)),
        section(7, list(exported)),
        section(10, list(this.#functions.map((f) => f.code()))),
      ]),
    );
  }
}

const sharedMemory = 0x03;
/** The same module for a memory that one thread has for itself. */
export function withoutSharing(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  const number = (at: number): [value: number, next: number] => {
    let [value, shift, i] = [0, 1, at];
    for (; out[i]! & 128; i++, shift *= 128) value += (out[i]! & 127) * shift;
    return [value + (out[i] ?? 0) * shift, i + 1];
  };
  // Header, the section of types, then the section of imports: its size, how many, "m" and "memory", and the kind.
  const [types, afterTypes] = number(9);
  const [, content] = number(afterTypes + types + 1);
  const [, first] = number(content);
  const flag = first + 2 + 7 + 1;
  if (out[flag - 1] !== 0x02 || out[flag] !== sharedMemory) refuse("the first import of a kernel is not its memory");
  out[flag] = 0x01;
  return out;
}

const refuse = (what: string): never => {
  throw new InternalError(`WebAssembly: ${what}`);
};
const text = (s: string): Bytes => [...unsigned(s.length), ...[...s].map((c) => c.charCodeAt(0))];
const list = (items: readonly Bytes[]): Bytes => [unsigned(items.length), ...items];
function section(id: number, content: Bytes, before: Bytes = []): Bytes {
  const flat = flatten(content);
  return [before, id, unsigned(flat.length), flat];
}
function flatten(bytes: Bytes, out: number[] = []): number[] {
  for (const b of bytes) {
    if (typeof b === "number") out.push(b);
    else flatten(typeof b === "function" ? b() : b, out);
  }
  return out;
}

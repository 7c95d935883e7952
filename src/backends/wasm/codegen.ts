/**
 * Kernel -> WebAssembly. A kernel is a module of its own, which imports the memory and exports one function `k` of (arguments, begin,
 * end, scratch): it runs grid points [begin, end). At `arguments` lie the addresses of its buffers, then its dims, 32 bits each.
 */
import { bytesOf } from "../../core/dtype.js";
import { InternalError, UnsupportedError } from "../../core/errors.js";
import { hi, variables } from "../../core/expr.js";
import type { Codegen, Template } from "../../kernel/codegen.js";
import type { Kernel } from "../../kernel/kernel.js";
import type { KernelCode } from "../../runtime/program.js";
import { access, branch, i32, op, repeat } from "./asm/code.js";
import { type Func, Module } from "./asm/module.js";
import { type Features, type Layout, Relayout, type Room, type State } from "./emit/state.js";
import { statements } from "./emit/statements.js";
import { wasmKey } from "./key.js";
import { wasmTarget } from "./target.js";

/** The compile-time half, for so many threads. */
export function wasmCodegen(threads: number, features: Features, claims: readonly Template[] = []): Codegen {
  return {
    name: "wasm",
    key: wasmKey(features.relaxed),
    target: wasmTarget(threads),
    prelude: () => "",
    render: (k) => render(k, features),
    claims,
  };
}

/** A kernel's module. Its bytes depend on nothing but the kernel and the features. */
export function render(k: Kernel, features: Features): KernelCode {
  if (k.threads !== 1) throw new UnsupportedError(`kernel ${k.name} has threads inside a grid point; choose a tiling without them`);
  const layouts = new Map<string, Layout>();
  for (let attempt = 0; attempt <= 3 * k.buffers.length; attempt++) {
    const module = new Module();
    let bytes = 0;
    try {
      module.add("k", { takes: ["i32", "i32", "i32", "i32"], gives: undefined }, (f) => {
        bytes = write(f, k, features, layouts);
        return undefined;
      });
    } catch (e) {
      if (e instanceof Relayout) continue;
      throw e;
    }
    const global = k.buffers.filter((b) => b.space === "global");
    return { entry: k.name, source: module.encode(), threads: 1, sharedBytes: bytes, writes: global.map((b) => b.writes === true) };
  }
  throw new InternalError(`kernel ${k.name}: no layout of its registers holds`);
}

/** Writes the function and returns the bytes of scratch that it needs. */
function write(f: Func, k: Kernel, features: Features, layouts: Map<string, Layout>): number {
  const [args, begin, end, scratch] = [0, 1, 2, 3];
  const rooms = new Map<string, Room>();
  const indices = new Map<string, number>();
  let word = 0;
  for (const buffer of k.buffers.filter((b) => b.space === "global")) {
    const base = f.local("i32");
    f.write(base, access("i32.load", 4 * word++, f.read(args)));
    rooms.set(buffer.name, { buffer, base, offset: 0 });
  }
  for (const d of k.dims) {
    const local = f.local("i32");
    f.write(local, access("i32.load", 4 * word++, f.read(args)));
    const [name] = variables(d).keys();
    indices.set(name!, local);
  }
  let reserved = 0;
  for (const buffer of k.buffers.filter((b) => b.space === "shared")) {
    const size = hi(buffer.size) * bytesOf(buffer.dtype);
    if (!Number.isFinite(size))
      throw new UnsupportedError(`kernel ${k.name}: scratch ${buffer.name} has no upper bound; give its dims one`);
    rooms.set(buffer.name, { buffer, base: scratch, offset: reserved });
    // Large ones start 64 bytes apart in the cache.
    reserved += Math.ceil(size / 64) * 64 + (size >= 4096 ? 64 : 0);
  }
  const pid = f.local("i32");
  indices.set("pid", pid);
  const s: State = {
    kernel: k,
    f,
    features,
    rooms,
    layouts,
    registers: new Map(),
    lets: new Map(),
    indices,
    varying: new Map(),
    frames: [],
    scratch,
    reserved,
    env: new Map(),
    lane: undefined,
    at: undefined,
  };
  f.write(pid, f.read(begin));
  const body = f.aside(() => {
    statements(s, k.body);
    f.write(pid, op("i32.add", f.read(pid), i32(1)));
  });
  f.push(branch(op("i32.lt_s", f.read(pid), f.read(end)), [repeat(body, op("i32.lt_s", f.read(pid), f.read(end)))]));
  return s.reserved;
}

/** WebAssembly as engines have it, as far as it is used here: Node's types do not tell. */

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
export interface WasmTable {
  readonly length: number;
  grow(by: number): number;
  set(place: number, value: unknown): void;
}
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}
export type WasmFunction = (...args: readonly number[]) => number;
export type WasmExports = Readonly<Record<string, WasmFunction>>;
type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Engine {
  readonly Memory: new (options: { readonly initial: number; readonly maximum: number; readonly shared?: boolean }) => WasmMemory;
  readonly Table: new (options: { readonly element: "anyfunc"; readonly initial: number }) => WasmTable;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: Imports) => { readonly exports: WasmExports };
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
}

/** The engine's WebAssembly. */
export const webAssembly: Engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

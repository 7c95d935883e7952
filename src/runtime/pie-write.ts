/** Writes `.pie` files. */
import type { DType } from "../core/dtype.js";
import { ArgumentError } from "../core/errors.js";
import { type FileCalls, openSource, writeFileWhole } from "./file.js";
import { align, type PieMethod, pieMagic, pieVersion, preludeBytes, readPie } from "./pie.js";
import { writeProgram, writeType } from "./program-text.js";
import { hashOf } from "./sha256.js";
import { HostTensor } from "./tensor.js";

/** What a `.pie` file is made of. */
export interface PieContents {
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** First values by name; a bare type begins as zeros. */
  readonly state: ReadonlyMap<string, HostTensor | { readonly dtype: DType; readonly shape: readonly number[] }>;
  readonly methods: readonly PieMethod[];
}

/** Writes a `.pie` file, whole or not at all. */
export function writePie(path: string, contents: PieContents, calls?: FileCalls): void {
  writeFileWhole(path, encodePie(contents), calls);
}

/** The parts of a `.pie` file in order. Throws where the result could not be read back. */
export function encodePie(contents: PieContents): Uint8Array[] {
  const blobs: Uint8Array[] = [];
  const table: { offset: number; bytes: number; sha256: string }[] = [];
  const known = new Map<string, number>();
  let end = 0;
  const store = (bytes: Uint8Array): number => {
    const sha256 = hashOf(bytes);
    const same = known.get(sha256);
    if (same !== undefined) return same;
    const offset = align(end);
    if (offset > end) blobs.push(new Uint8Array(offset - end));
    blobs.push(bytes);
    table.push({ offset, bytes: bytes.length, sha256 });
    end = offset + bytes.length;
    known.set(sha256, table.length - 1);
    return table.length - 1;
  };
  const text = (s: string): Uint8Array => new TextEncoder().encode(s);
  const methods = contents.methods.map((m) => ({
    name: m.name,
    dims: m.dims,
    inputs: m.inputs.map((p) => ({ name: p.name, ...writeType(p.type) })),
    outputs: m.outputs.map((p) => ({ name: p.name, ...writeType(p.type) })),
    state: m.state,
    graph: store(text(m.graph)),
    programs: m.programs.map((p) => store(text(JSON.stringify(writeProgram(p, store))))),
  }));
  const state = [...contents.state].map(([name, s]) => ({
    name,
    dtype: s.dtype,
    shape: s.shape,
    ...(s instanceof HostTensor && { blob: store(s.bytes) }),
  }));
  const header = text(
    JSON.stringify({
      format: "treepie",
      producer: contents.producer ?? "treepie",
      metadata: contents.metadata ?? {},
      blobs: table,
      state,
      methods,
    }),
  );
  const begin = align(preludeBytes + header.length);
  const head = new Uint8Array(begin);
  const view = new DataView(head.buffer);
  head.set(pieMagic);
  view.setUint32(8, pieVersion, true);
  view.setBigUint64(16, BigInt(header.length), true);
  head.set(header, preludeBytes);
  const parts = [head, ...blobs];
  check(contents, parts);
  return parts;
}

/** Reads back everything but the state's values. */
function check(contents: PieContents, parts: readonly Uint8Array[]): void {
  const starts: number[] = [];
  let size = 0;
  for (const p of parts) {
    starts.push(size);
    size += p.length;
  }
  const readInto = (offset: number, into: Uint8Array): void => {
    let done = 0;
    for (
      let i = Math.max(
        0,
        starts.findLastIndex((s) => s <= offset),
      );
      i < parts.length && done < into.length;
      i++
    ) {
      const from = Math.max(0, offset + done - starts[i]!);
      const piece = parts[i]!.subarray(from, from + into.length - done);
      into.set(piece, done);
      done += piece.length;
    }
  };
  const read = (offset: number, bytes: number): Uint8Array => {
    const out = new Uint8Array(bytes);
    readInto(offset, out);
    return out;
  };
  try {
    readPie(openSource({ name: "the file", size, read, readInto, close() {} }));
  } catch (cause) {
    throw new ArgumentError(`these contents do not make a .pie file with ${contents.methods.length} methods: ${(cause as Error).message}`, {
      cause,
    });
  }
}

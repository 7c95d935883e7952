import { closeSync, fsyncSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fuzzRuns, mutate, random } from "../../test/support/programs.js";
import type { DType } from "../core/dtype.js";
import { ArgumentError, FileError, FormatError, UnsupportedError } from "../core/errors.js";
import { encodeSafetensors, openSafetensors, writeSafetensors } from "./safetensors.js";
import { HostTensor } from "./tensor.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const join1 = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const of = (header: string | object, data: Uint8Array = new Uint8Array(), length?: bigint): Uint8Array => {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  return join1([head, text, data]);
};
const all: DType[] = ["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"];
const sample = (): Map<string, HostTensor> => {
  const tensors = new Map(
    all.map((t): [string, HostTensor] => [`w.${t}`, HostTensor.of(t, [2, 3], t === "bool" ? [0, 1, 1, 0, 0, 1] : [0, 1, 2, 3, 4, 100])]),
  );
  tensors.set("scalar", HostTensor.of("f32", [], [2.5]));
  tensors.set("empty", HostTensor.of("i64", [0, 4], []));
  return tensors;
};

describe("safetensors", () => {
  test("every dtype comes back from a file, with metadata", () => {
    const path = join(folder, "a.safetensors");
    writeSafetensors(path, sample(), { metadata: { format: "pt", step: "7" } });
    const file = openSafetensors(path);
    expect(file.metadata).toEqual({ format: "pt", step: "7" });
    for (const [name, t] of sample()) expect(file.read(name)).toEqual(t);
    expect(file.tensors.get("w.bf16")).toMatchObject({ stored: "BF16", shape: [2, 3], bytes: 12 });
    const part = new Uint8Array(4);
    file.readInto("w.u8", 2, part);
    expect([...part]).toEqual([2, 3, 4, 100]);
    expect(() => file.read("missing")).toThrow(ArgumentError);
    expect(() => file.readInto("w.u8", 4, part)).toThrow(ArgumentError);
    file.close();
  });

  test("a sharded model is one model", () => {
    writeSafetensors(join(folder, "big.safetensors"), sample(), { maxShardBytes: 100 });
    expect(readdirSync(folder).filter((f) => f.startsWith("big-")).length).toBeGreaterThan(2);
    const model = openSafetensors(join(folder, "big.safetensors.index.json"));
    for (const [name, t] of sample()) expect(model.read(name)).toEqual(t);
    model.close();
    const index = join(folder, "bad.index.json");
    for (const file of ["../a.safetensors", "/etc/passwd", "..", "a\\b", 3]) {
      writeFileSync(index, JSON.stringify({ weight_map: { x: file } }));
      expect(() => openSafetensors(index)).toThrow(FormatError);
    }
    writeFileSync(index, JSON.stringify({ weight_map: { x: "a.safetensors" } }));
    expect(() => openSafetensors(index)).toThrow(/does not have it/);
  });

  test("8-bit floats widen to f32; what cannot be computed with says so", () => {
    const header = {
      a: { dtype: "F8_E4M3", shape: [4], data_offsets: [0, 4] },
      b: { dtype: "F8_E5M2", shape: [4], data_offsets: [4, 8] },
      c: { dtype: "F4", shape: [4], data_offsets: [8, 10] },
    };
    const file = openSafetensors(of(header, new Uint8Array([0x38, 0x7e, 0x7f, 0x81, 0x3c, 0x7c, 0x7f, 0x01, 0, 0])));
    expect([...file.read("a").data]).toEqual([1, 448, Number.NaN, -(2 ** -9)]);
    expect([...file.read("b").data]).toEqual([1, Number.POSITIVE_INFINITY, Number.NaN, 2 ** -16]);
    expect(() => file.read("c")).toThrow(UnsupportedError);
    expect(file.bytes("c").length).toBe(2);
  });

  const t = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  const eight = new Uint8Array(8);
  const hostile: [string, Uint8Array, RegExp][] = [
    ["an empty file", new Uint8Array(), /too short/],
    ["a header longer than the file", of({}, eight, 9999n), /truncated/],
    ["a header of 2^63 bytes", of({}, eight, 1n << 63n), /most/],
    ["text that is no JSON", of("{nonsense}"), /JSON/],
    ["a list", of("[]"), /start with/],
    ["a name twice", of(`{"x":${JSON.stringify(t)},"x":${JSON.stringify(t)}}`, eight), /twice/],
    ["malformed UTF-8", join1([of("{}", new Uint8Array(), 3n), new Uint8Array([0xff])]), /UTF-8/],
    ["overlapping tensors", of({ x: t, y: t }, eight), /overlap/],
    ["a gap", of({ x: t, y: { ...t, data_offsets: [12, 20] } }, new Uint8Array(20)), /gap/],
    ["bytes behind the last tensor", of({ x: t }, new Uint8Array(12)), /last tensor/],
    ["offsets beyond the end", of({ x: { ...t, data_offsets: [0, 16] } }, eight), /of 8 bytes/],
    ["offsets that go backwards", of({ x: { ...t, data_offsets: [8, 0] } }, eight), /lies at/],
    ["a shape that does not fit", of({ x: { ...t, shape: [3] } }, eight), /span/],
    ["a shape that overflows", of({ x: { ...t, shape: [2 ** 40, 2 ** 40] } }, eight), /whole number of bytes/],
    ["a negative dim", of({ x: { ...t, shape: [-2] } }, eight), /whole number from/],
    ["an unknown dtype", of({ x: { ...t, dtype: "toString" } }, eight), /does not know/],
    ["metadata that is not text", of({ __metadata__: { a: 1 } }), /string/],
    ["an unknown entry", of({ x: { ...t, more: 1 } }, eight), /unknown/],
  ];
  test.each(hostile)("refuses %s", (_, bytes, why) => {
    expect(() => openSafetensors(bytes)).toThrow(FormatError);
    expect(() => openSafetensors(bytes)).toThrow(why);
  });

  test("mutated files are read or refused, never anything else", () => {
    const original = join1(encodeSafetensors(sample(), { format: "pt" }));
    const next = random(7);
    let refused = 0;
    for (let i = 0; i < fuzzRuns(10_000); i++) {
      try {
        const file = openSafetensors(mutate(original, next));
        for (const name of file.tensors.keys()) file.bytes(name);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(fuzzRuns(10_000) / 3);
  });

  test("a full disk leaves the old file as it was", () => {
    const path = join(folder, "keep.safetensors");
    const before = new Map([["x", HostTensor.of("f32", [2], [1, 2])]]);
    writeSafetensors(path, before);
    let room = 60;
    const full = {
      open: openSync,
      write(fd: number, data: Uint8Array, offset: number, length: number): number {
        if (room <= 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        const n = Math.min(room, length);
        room -= n;
        return writeSync(fd, data, offset, n);
      },
      sync: fsyncSync,
      close: closeSync,
      rename: renameSync,
    };
    expect(() => writeSafetensors(path, sample(), { calls: full })).toThrow(FileError);
    room = 60;
    expect(() => writeSafetensors(path, sample(), { calls: full })).toThrow(/the disk is full; what was there before is unchanged/);
    expect(openSafetensors(path).read("x")).toEqual(before.get("x"));
    expect(readdirSync(folder).filter((f) => f.endsWith(".tmp"))).toEqual([]);
    expect(() => writeSafetensors(join(folder, "no", "such", "folder"), before)).toThrow(FileError);
  });
});

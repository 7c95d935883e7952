/** Files of servers, good and bad ones. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { FileError } from "../../src/core/errors.js";
import { loadModel } from "../../src/llm/index.js";
import {
  type ByteSource,
  blobSource,
  HostTensor,
  type KnownFile,
  openSafetensorsIn,
  openUrl,
  type PieceStore,
  type RemoteOptions,
  Session,
  urlFolder,
} from "../../src/runtime/public.js";
import { encodeSafetensors } from "../../src/runtime/safetensors.js";
import { makeFolder } from "../models/folder.js";
import { useDevice } from "../support/devices.js";
import { llamaFile, nextFile } from "./files.js";
import { type Served, type Server, sendRange, serve } from "./serve.js";

beforeAll(() => useDevice("js"));

const data = Uint8Array.from({ length: 10_000_003 }, (_, i) => (i * 2654435761) >>> 13);
const sha = (x: Uint8Array): string => createHash("sha256").update(x).digest("hex");
let server: Server | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
/** Serves one file and counts what is asked for. */
async function serving(answer: Served): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  server = await serve((path) => {
    if (path !== "/data") return undefined;
    return (request, response) => {
      asked.push(request.headers.range ?? "all");
      if (typeof answer === "function") answer(request, response);
      else sendRange(request, response, answer as Uint8Array, '"v1"');
    };
  });
  return { url: `${server.url}/data`, asked };
}
const quick: RemoteOptions = { pause: 1, store: false };
/** Everything of a source, in loads of uneven sizes. */
async function readAll(source: ByteSource): Promise<Uint8Array> {
  const out = new Uint8Array(source.size);
  for (let at = 0, n = 100_000; at < out.length; n = (n * 3) % 5_000_000 || 77) {
    const part = out.subarray(at, at + n);
    await source.load!(at, part.length);
    source.readInto(at, part);
    source.release!(at, part.length);
    at += part.length;
  }
  return out;
}
/** Sends so many bytes of an answer, then cuts the connection. */
const cut = (request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, after: number, ranges = true): void => {
  const at = ranges ? Number(/\d+/.exec(request.headers.range ?? "0")![0]) : 0;
  response.writeHead(ranges && request.headers.range ? 206 : 200, {
    "Content-Length": bytes.length - at,
    ...(ranges && request.headers.range && { "Content-Range": `bytes ${at}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.write(bytes.subarray(at, at + after), () => setTimeout(() => response.destroy(), 20));
};

describe("a file of a server", () => {
  test("comes in one response where it is read in order", async () => {
    const { url, asked } = await serving(data);
    const got: number[] = [];
    const source = await openUrl(url, { ...quick, onProgress: (n, size) => void got.push(n / size) });
    expect(source.size).toBe(data.length);
    expect(sha(await readAll(source))).toBe(sha(data));
    expect(asked).toEqual(["all"]);
    expect(got.at(-1)).toBe(1);
    expect(() => source.read(0, 10)).not.toThrow(); // a piece that is still here
    await expect(source.load!(data.length - 1, 2)).rejects.toThrow(/is truncated/);
    source.close();
    await expect(source.load!(0, 1)).rejects.toThrow(/was closed/);
  });
  test("gives its end without what lies before", async () => {
    const { url, asked } = await serving(data);
    const source = await openUrl(url, quick);
    await source.load!(9_999_000, 1003);
    expect(source.read(9_999_000, 1003)).toEqual(data.slice(9_999_000));
    expect(() => source.read(5_000_000, 10)).toThrow(/were not loaded/);
    expect(asked).toEqual(["all", `bytes=${8 << 20}-`]);
    source.close();
  });
  test("goes on after connections that break", async () => {
    const { url, asked } = await serving((request, response) => cut(request, response, data, 1_500_000));
    expect(sha(await readAll(await openUrl(url, quick)))).toBe(sha(data));
    expect(asked.length).toBeGreaterThanOrEqual(7);
    expect(asked.slice(1).every((r) => /^bytes=\d+-$/.test(r))).toBe(true);
  });
  test("of a server without ranges is read anew after a break, and the error says so when it never ends", async () => {
    let breaks = 2;
    const { url, asked } = await serving((request, response) => {
      if (breaks-- > 0) cut(request, response, data, 3_000_000, false);
      else response.writeHead(200, { "Content-Length": data.length }).end(data);
    });
    expect(sha(await readAll(await openUrl(url, quick)))).toBe(sha(data));
    expect(asked).toHaveLength(3);
    breaks = Number.POSITIVE_INFINITY;
    const source = await openUrl(url, { ...quick, attempts: 3 });
    await expect(readAll(source)).rejects.toThrow(
      /cannot be read at byte \d+ of 10000003: .*, 3 times; the server gives no parts of files/,
    );
    await expect(readAll(source)).rejects.toThrow(FileError);
  });
  test("that changes while it is read is an error", async () => {
    let version = 0;
    const { url } = await serving((request, response) => {
      response.setHeader("ETag", `"${version++}"`);
      cut(request, response, data, 1_000_000);
    });
    await expect(readAll(await openUrl(url, quick))).rejects.toThrow(/was changed on the server while it was read/);
  });
  test("is waited for while the server is busy, and is missing where it is not there", async () => {
    let busy = 2;
    const { url, asked } = await serving((request, response) => {
      if (busy-- > 0) response.writeHead(503).end();
      else sendRange(request, response, data);
    });
    expect(sha(await readAll(await openUrl(url, quick)))).toBe(sha(data));
    expect(asked).toHaveLength(3);
    await expect(openUrl(`${url}x`, quick)).rejects.toThrow(/is not there: the server answers 404/);
    busy = 99;
    await expect(openUrl(url, { ...quick, attempts: 2 })).rejects.toThrow(/the server answers 503, 2 times/);
    const { url: forbidden } = await serving((_, response) => void response.writeHead(403).end());
    await expect(openUrl(forbidden, quick)).rejects.toThrow(/answers 403/);
  });
  test("that comes compressed is read whole", async () => {
    const { url } = await serving((_, response) => {
      const packed = gzipSync(data.subarray(0, 5_000_000), { level: 1 });
      response.writeHead(200, { "Content-Encoding": "gzip", "Content-Length": packed.length }).end(packed);
    });
    const source = await openUrl(url, quick);
    expect(source.size).toBe(5_000_000);
    expect(sha(await readAll(source))).toBe(sha(data.subarray(0, 5_000_000)));
  });
  test("is let go when the caller aborts, and can be asked for again", async () => {
    let slow = true;
    const { url } = await serving((request, response) => {
      if (!slow) return sendRange(request, response, data);
      response.writeHead(200, { "Content-Length": data.length });
      response.write(data.subarray(0, 1000));
    });
    const stop = new AbortController();
    const source = await openUrl(url, quick);
    const loading = source.load!(0, 100_000, stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(loading).rejects.toThrow("enough");
    slow = false;
    expect(sha(await readAll(source))).toBe(sha(data));
  });
});

/** Keeps pieces in memory, for tests. */
function memoryStore(): PieceStore & { readonly files: Map<string, KnownFile>; readonly pieces: Map<string, Uint8Array> } {
  const files = new Map<string, KnownFile>();
  const pieces = new Map<string, Uint8Array>();
  return {
    files,
    pieces,
    known: async (url) => files.get(url),
    remember: async (url, file) => void files.set(url, structuredClone(file)),
    get: async (hash) => pieces.get(hash),
    put: async (hash, piece) => void pieces.set(hash, piece.slice()),
  };
}
describe("a file that was kept", () => {
  test("is not asked for again, for as long as its version stays", async () => {
    let version = '"v1"';
    let content = data;
    const { url, asked } = await serving((request, response) => sendRange(request, response, content, version));
    const store = memoryStore();
    const options = { ...quick, store };
    const fetched = async (): Promise<number> => {
      let bytes = 0;
      const source = await openUrl(url, { ...options, onProgress: (got) => (bytes = got) });
      expect(sha(await readAll(source))).toBe(sha(content));
      source.close();
      return bytes;
    };
    expect(await fetched()).toBe(data.length);
    expect([...store.pieces.keys()].every((hash) => sha(store.pieces.get(hash)!) === hash)).toBe(true);
    expect(await fetched()).toBe(0);
    expect(asked).toEqual(["all", "all"]);
    // One piece is lost: only that one comes again.
    store.pieces.delete(store.files.get(url)!.pieces[1]!);
    expect(await fetched()).toBe(4 << 20);
    // Another version, of which two pieces are the same: its contents are those of the server.
    content = data.slice();
    content[9_000_000]! ^= 1;
    version = '"v2"';
    expect(await fetched()).toBe(data.length);
    expect(store.files.get(url)!.version).toBe('"v2"');
    await server!.close();
    expect(await fetched()).toBe(0);
    expect(sha(await readAll(await openUrl(url, { ...options, attempts: 1 })))).toBe(sha(content));
    store.pieces.clear();
    await expect(fetched()).rejects.toThrow(/cannot be read at byte 0/);
  });
  test("in part is gone on with", async () => {
    const store = memoryStore();
    let breaks = 1;
    const { url } = await serving((request, response) => {
      response.setHeader("ETag", '"v"');
      if (breaks-- > 0) cut(request, response, data, 5_000_000);
      else if (breaks < -1) sendRange(request, response, data, '"v"');
      else response.destroy();
    });
    await expect(readAll(await openUrl(url, { ...quick, store, attempts: 1 }))).rejects.toThrow(/cannot be read at byte/);
    let bytes = 0;
    const source = await openUrl(url, { ...quick, store, onProgress: (got) => (bytes = got) });
    expect(sha(await readAll(source))).toBe(sha(data));
    expect(bytes).toBe(data.length - (4 << 20));
  });
});

describe("from a server", () => {
  test("a program file runs; only what the methods need is read", async () => {
    const targets = [wasm.codegen({ threads: 1 })];
    for (const [file, method, inputs] of [
      [await nextFile(targets), "next", { x: [1, 2, 3, 4] }],
      [await llamaFile(targets), "decode", { token: [3], position: 0 }],
    ] as const) {
      const { url } = await serving((request, response) => cut(request, response, file, 30_000));
      const device = await openWasm(undefined, { threads: 1 });
      const local = await Session.open(file, { device });
      const wanted = await local.run(method, inputs);
      // A pinned hash is that of the whole file.
      const source = await openUrl(url, quick);
      const session = await Session.open(source, { device, trust: sha(file) });
      expect(await session.run(method, inputs)).toEqual(wanted);
      await session.reset();
      expect(await session.run(method, inputs)).toEqual(wanted);
      await session.dispose();
      await expect(Session.open(await openUrl(url, quick), { device, trust: sha(data) })).rejects.toThrow(/not the pinned/);
      const chosen = await Session.open(new Blob([file as Uint8Array<ArrayBuffer>]), { device });
      expect(await chosen.run(method, inputs)).toEqual(wanted);
      await expect(Session.open(new Blob([file.slice(0, -5)]), { device })).rejects.toThrow(/the file is truncated/);
      await expect(Session.open(new Blob(["no program file at all, but some text"]), { device })).rejects.toThrow(/is not a .pie file/);
      await Promise.all([local.dispose(), chosen.dispose()]);
      await device.close();
    }
  });
  test("a model in shards gives what it gives from disk", async () => {
    const folder = makeFolder("llama3", { shardBytes: 4000 });
    server = await serve((path) => {
      try {
        return readFileSync(join(folder, path.slice("/m/".length)));
      } catch {
        return undefined;
      }
    });
    const told: number[] = [];
    const load = (from: string): Promise<Awaited<ReturnType<typeof loadModel>>> =>
      loadModel(from, { dtype: "f32", onProgress: (done, total) => void told.push(done / total) });
    const tokens = async (m: Awaited<ReturnType<typeof load>>): Promise<number[]> => {
      const out: number[] = [];
      for await (const t of m.generateTokens([3, 1, 4], { maxTokens: 8, stopTokens: [] })) out.push(t);
      return out;
    };
    expect(await tokens(await load(`${server.url}/m`))).toEqual(await tokens(await load(folder)));
    expect(told.at(-1)).toBe(1);
    await expect(load(`${server.url}/other`)).rejects.toThrow(/has no config.json/);
  });
  test("tensors of a safetensors file are read by name", async () => {
    const big = HostTensor.of(
      "f32",
      [1_500_000],
      new Float32Array(1_500_000).map((_, i) => i),
    );
    const parts = encodeSafetensors(
      new Map([
        ["big", big],
        ["small", HostTensor.of("i32", [2], [7, 8])],
      ]),
    );
    const file = new Uint8Array(Buffer.concat(parts));
    server = await serve((path) => (path === "/w/model.safetensors" ? file : undefined));
    const opened = await openSafetensorsIn(urlFolder(`${server.url}/w`, quick));
    for (const name of ["small", "big"]) {
      await opened.load(name);
      expect(sha(opened.read(name).bytes)).toBe(sha(name === "big" ? big.bytes : HostTensor.of("i32", [2], [7, 8]).bytes));
      opened.release(name);
    }
    opened.close();
  });
});

test("a chosen file that was moved says so", async () => {
  const gone = { size: 100, name: "m.pie", slice: () => ({ arrayBuffer: () => Promise.reject(new Error("NotFoundError")) }) };
  await expect(blobSource(gone).load!(0, 10)).rejects.toThrow(/m.pie cannot be read any more .*choose it again/);
});

/**
 * Files of a server, in pieces. A piece comes from memory, from what was kept of an earlier visit, or from one response that is read from
 * front to back; where something else is needed, or the connection breaks, another request begins there. Nothing is read ahead of need.
 */

import { joined } from "../core/bytes.js";
import { FileError } from "../core/errors.js";
import type { ByteSource } from "./file.js";
import { pageStore } from "./opfs.js";
import { digest } from "./sha256.js";

/** Which pieces of a file were seen, by content. */
export interface KnownFile {
  /** Stands for the file's version: its ETag, or the date of its last change. `absent` where the server had no such file. */
  readonly version: string;
  readonly size: number;
  /** SHA-256 of each piece; null where it never came. */
  readonly pieces: readonly (string | null)[];
}
/** Keeps pieces between visits, each under the SHA-256 of its contents. */
export interface PieceStore {
  known(url: string): Promise<KnownFile | undefined>;
  /** Remembers a file's pieces; those of a version that it replaces may go. */
  remember(url: string, file: KnownFile): Promise<void>;
  /** A piece as it was put, or undefined. */
  get(hash: string): Promise<Uint8Array | undefined>;
  put(hash: string, piece: Uint8Array): Promise<void>;
}
/** How a server's file is read and kept. */
export interface RemoteOptions {
  readonly signal?: AbortSignal;
  /** Default: the origin-private file system of a page; nothing is kept elsewhere. */
  readonly store?: PieceStore | false;
  /** Told of bytes as they come: how many so far, and the file's size. */
  onProgress?(got: number, size: number): void;
  /** How often a request is made again without a byte in between; default 5. */
  readonly attempts?: number;
  /** Milliseconds before the first of them; each further one waits twice as long. Default 250. */
  readonly pause?: number;
}

const pieceBytes: number = 4 << 20;
/** Pieces that nobody needs at present and that stay in memory. */
const mostIdle = 4;
/** A connection that gives nothing for so long counts as broken. */
const stallMs = 30_000;

/** What is kept is kept here; Node has no cache, and its types not this field. */
const request: object = { cache: "no-store" };

/** The version of a file that is not there. */
const absent = "absent";

/** Whether a browser knows that there is no network. */
const offline = (): boolean => (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false;

/** A response that is being read. */
interface Stream {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly stop: AbortController;
  at: number;
  /** Bytes that came and were not taken. */
  rest: Uint8Array;
}

/** Whether a text is an address of a server (or of a page's own data), not a path. */
export const isUrl = (text: string): boolean => /^(https?|blob|data):/i.test(text);

/** Opens a file of a server: asks for its size and version. Throws FileError where there is none. */
export async function openUrl(url: string | URL, options: RemoteOptions = {}): Promise<ByteSource> {
  const source = await openUrlIfThere(url, options);
  if (!source) throw new FileError(`${url} is not there: the server answers 404`);
  return source;
}
/** The same; undefined where the server has no such file. */
export async function openUrlIfThere(url: string | URL, options: RemoteOptions = {}): Promise<ByteSource | undefined> {
  const remote = new Remote(String(url), options);
  return (await remote.open(options.signal)) ? remote : undefined;
}

class Remote implements ByteSource {
  readonly name: string;
  size = 0;
  readonly #options: RemoteOptions;
  readonly #store: PieceStore | undefined;
  #version = "";
  /** False once the server answered a request for a part with the whole. */
  #ranges = true;
  #stream: Stream | undefined;
  #hashes: (string | null)[] = [];
  readonly #pieces = new Map<number, Uint8Array>();
  /** How many loads need a piece; a piece that none needs is forgotten in time. */
  readonly #users = new Map<number, number>();
  #idle: number[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #got = 0;
  #closed = false;

  constructor(url: string, options: RemoteOptions) {
    this.name = url;
    this.#options = options;
    this.#store = options.store === false || !/^https?:/.test(url) ? undefined : (options.store ?? pageStore());
  }

  /** False where the server has no such file. */
  async open(signal: AbortSignal | undefined): Promise<boolean> {
    const known = await this.#store?.known(this.name);
    const kept = known?.pieces.every(Boolean) ? known : undefined;
    let response: Response;
    try {
      // Where there is something to fall back on, or surely no network, nobody waits for a second try.
      response = await (kept || offline() ? this.#request(0, signal) : this.#patiently(0, signal, () => this.#request(0, signal)));
    } catch (error) {
      if (signal?.aborted) throw error;
      if (!kept)
        throw error instanceof FileError
          ? error
          : new FileError(`${this.name} cannot be read: ${(error as Error).message}`, { cause: error });
      if (kept.version === absent) return false;
      this.#adopt(kept.version, kept.size, kept.pieces);
      return true;
    }
    if (response.status === 404) {
      if (known?.version !== absent) await this.#store?.remember(this.name, { version: absent, size: 0, pieces: [] });
      return false;
    }
    const length = response.headers.get("content-length");
    if (length === null || response.headers.get("content-encoding")) await this.#whole(signal);
    else {
      const version = versionOf(response);
      const same = known !== undefined && version !== "" && known.version === version && known.size === Number(length);
      this.#adopt(version, Number(length), same ? known.pieces : []);
      this.#ranges = response.headers.get("accept-ranges") !== "none";
    }
    return true;
  }
  #adopt(version: string, size: number, pieces: readonly (string | null)[]): void {
    this.#version = version;
    this.size = size;
    const count = Math.ceil(size / pieceBytes);
    this.#hashes = Array.from({ length: count }, (_, i) => (pieces.length === count ? pieces[i]! : null));
  }
  /** A body whose length is not told (or is that of its compressed form) is read to its end: it cannot be asked for in parts. */
  async #whole(signal: AbortSignal | undefined): Promise<void> {
    const bytes = await this.#patiently(0, signal, async () => {
      if (!this.#stream) await this.#request(0, signal);
      const chunks: Uint8Array[] = [];
      for (let chunk = await this.#chunk(this.#stream!, signal); chunk; chunk = await this.#chunk(this.#stream!, signal))
        chunks.push(chunk);
      return joined(chunks);
    });
    this.#stream = undefined;
    this.#ranges = false;
    this.#adopt("", bytes.length, []);
    for (let i = 0; i * pieceBytes < bytes.length; i++) {
      this.#pieces.set(i, bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes));
      this.#users.set(i, 1);
    }
  }

  async load(offset: number, bytes: number, signal?: AbortSignal): Promise<void> {
    const [from, to] = this.#span(offset, bytes);
    for (let i = from; i < to; i++) this.#use(i);
    const work = this.#turn.then(async () => {
      for (let i = from; i < to; i++) {
        signal?.throwIfAborted();
        if (this.#closed) throw new FileError(`${this.name} was closed`);
        if (!this.#pieces.has(i)) this.#pieces.set(i, await this.#piece(i, signal));
      }
    });
    this.#turn = work.catch(() => {});
    try {
      await work;
    } catch (error) {
      this.release(offset, bytes);
      throw error;
    }
  }
  release(offset: number, bytes: number): void {
    const [from, to] = this.#span(offset, bytes);
    for (let i = from; i < to; i++) {
      const users = (this.#users.get(i) ?? 0) - 1;
      if (users > 0) this.#users.set(i, users);
      else {
        this.#users.delete(i);
        this.#idle.push(i);
      }
    }
    // What can be had again is not kept here.
    while (this.#idle.length > mostIdle) {
      const i = this.#idle.shift()!;
      if (this.#ranges || (this.#store && this.#hashes[i])) this.#pieces.delete(i);
    }
  }
  #use(i: number): void {
    this.#users.set(i, (this.#users.get(i) ?? 0) + 1);
    this.#idle = this.#idle.filter((x) => x !== i);
  }
  #span(offset: number, bytes: number): [number, number] {
    this.#inside(offset, bytes);
    return bytes ? [Math.floor(offset / pieceBytes), Math.ceil((offset + bytes) / pieceBytes)] : [0, 0];
  }
  #inside(offset: number, bytes: number): void {
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= this.size))
      throw new FileError(
        `${this.name} ends at byte ${this.size}, and bytes ${offset} to ${offset + bytes} were expected: it is truncated`,
      );
  }
  read(offset: number, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    this.readInto(offset, out);
    return out;
  }
  readInto(offset: number, into: Uint8Array): void {
    this.#inside(offset, into.length);
    for (let done = 0; done < into.length; ) {
      const i = Math.floor((offset + done) / pieceBytes);
      const piece = this.#pieces.get(i);
      if (!piece) throw new FileError(`bytes ${offset} to ${offset + into.length} of ${this.name} were not loaded`);
      const part = piece.subarray(offset + done - i * pieceBytes, offset + into.length - i * pieceBytes);
      into.set(part, done);
      done += part.length;
    }
  }
  close(): void {
    this.#closed = true;
    this.#drop();
    this.#pieces.clear();
  }

  async #piece(i: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const hash = this.#hashes[i];
    const kept = hash ? await this.#store?.get(hash) : undefined;
    const bytes = Math.min(pieceBytes, this.size - i * pieceBytes);
    if (kept?.length === bytes) return kept;
    // A server without ranges gives everything before, too: it is kept, for it would come again.
    if (!this.#ranges)
      for (let j = Math.floor((this.#stream?.at ?? 0) / pieceBytes); j < i; j++)
        if (!this.#pieces.has(j)) this.#pieces.set(j, await this.#fetch(j, pieceBytes, signal));
    return this.#fetch(i, bytes, signal);
  }
  async #fetch(i: number, bytes: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const piece = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const chunk = await this.#patiently(i * pieceBytes + done, signal, () => this.#next(i * pieceBytes + done, bytes - done, signal));
      piece.set(chunk, done);
      done += chunk.length;
      this.#got += chunk.length;
      this.#options.onProgress?.(this.#got, this.size);
    }
    if (this.#store && this.#version) {
      const hash = await digest(piece);
      await this.#store.put(hash, piece);
      this.#hashes[i] = hash;
      await this.#store.remember(this.name, { version: this.#version, size: this.size, pieces: this.#hashes });
    }
    return piece;
  }

  /** Does something that a broken connection may stop, again and again for as long as there is hope. */
  async #patiently<T>(at: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { attempts = 5, pause = 250 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (cause) {
        this.#drop();
        signal?.throwIfAborted();
        if (cause instanceof FileError) throw cause;
        if (attempt >= attempts || this.#closed) {
          const where = this.size ? ` at byte ${at} of ${this.size}` : "";
          const anew = this.#ranges ? "" : "; the server gives no parts of files (range requests), so that each attempt began anew";
          throw new FileError(`${this.name} cannot be read${where}: ${(cause as Error).message}, ${attempt} times${anew}`, { cause });
        }
        await waited(pause * 2 ** (attempt - 1), signal);
      }
    }
  }
  /** The next bytes from a place on: at least one. */
  async #next(at: number, most: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    let stream = this.#stream;
    if (stream && stream.at !== at && !(stream.at < at && (!this.#ranges || at - stream.at <= pieceBytes))) stream = undefined;
    if (!stream) {
      this.#drop();
      await this.#request(at, signal);
      stream = this.#stream!;
    }
    for (;;) {
      if (!stream.rest.length) {
        const chunk = await this.#chunk(stream, signal);
        if (!chunk) throw new Error(`the connection ended at byte ${stream.at}`);
        stream.rest = chunk;
      }
      // What lies before the place is skipped.
      const skipped = Math.min(at - stream.at, stream.rest.length);
      const part = stream.rest.subarray(skipped, skipped + most);
      stream.at += skipped + part.length;
      stream.rest = stream.rest.subarray(skipped + part.length);
      if (part.length) return part;
    }
  }
  /** What comes next; undefined at the end. */
  async #chunk(stream: Stream, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const timer = setTimeout(() => stream.stop.abort(new Error(`nothing came for ${stallMs / 1000} s`)), stallMs);
    const stop = (): void => stream.stop.abort(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      return (await stream.reader.read()).value;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
  /** Asks for the file from a place on; its body becomes the stream. */
  async #request(at: number, signal: AbortSignal | undefined): Promise<Response> {
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const headers: Record<string, string> = at ? { Range: `bytes=${at}-` } : {};
      const response = await fetch(this.name, { ...request, headers, signal: stop.signal });
      const { status } = response;
      if (status >= 500 || status === 429) throw new Error(`the server answers ${status}`);
      if (status === 404 && !this.size) return response;
      if (status !== 200 && status !== 206) throw new FileError(`${this.name} cannot be read: the server answers ${status}`);
      if (this.size) this.#checkSame(response, at);
      if (at && status === 200) this.#ranges = false;
      this.#stream = { reader: bodyOf(response), stop, at: status === 206 ? at : 0, rest: new Uint8Array() };
      return response;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }
  /** Parts of two versions do not make a file. */
  #checkSame(response: Response, at: number): void {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    const version = versionOf(response);
    const size = response.status === 200 ? response.headers.get("content-length") : total;
    if ((version && this.#version && version !== this.#version) || (size && Number(size) !== this.size) || (from && Number(from) !== at))
      throw new FileError(`${this.name} was changed on the server while it was read: open it again`);
  }
  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.stop.abort(new Error("not needed any more"));
    stream?.reader.cancel().catch(() => {});
  }
}

const versionOf = (r: Response): string => r.headers.get("etag") ?? r.headers.get("last-modified") ?? "";
const bodyOf = (r: Response): ReadableStreamDefaultReader<Uint8Array> => r.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;

function waited(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

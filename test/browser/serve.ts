/** A small server of files for pages, and for tests of what a bad server does. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What is served under a path: bytes, or a function that answers itself. */
export type Served = string | Uint8Array | ((request: IncomingMessage, response: ServerResponse) => void);
export interface ServeOptions {
  /** Pages may share memory with workers. */
  readonly isolated?: boolean;
}
export interface Server {
  readonly url: string;
  close(): Promise<void>;
}
const types: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
  svg: "image/svg+xml",
  css: "text/css",
  "/": "text/html",
};

/** Serves by path; `find` is asked again for each request. */
export async function serve(find: (path: string) => Served | undefined, options: ServeOptions = {}): Promise<Server> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, "http://x").pathname);
    if (options.isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    response.setHeader("Content-Type", types[path.split(".").at(-1)!] ?? "application/octet-stream");
    const found = find(path);
    if (found === undefined) {
      response.statusCode = 404;
      response.end();
    } else if (typeof found === "function") found(request, response);
    else {
      const bytes = typeof found === "string" ? new TextEncoder().encode(found) : found;
      sendRange(request, response, bytes, `"${createHash("sha256").update(bytes).digest("hex")}"`);
    }
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** Answers with the bytes, or with the part that is asked for; with an ETag where one is given. */
export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, etag?: string): void {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const at = Number(from ?? 0);
  if (etag) response.setHeader("ETag", etag);
  response.setHeader("Accept-Ranges", "bytes");
  if (from !== undefined) {
    response.statusCode = 206;
    response.setHeader("Content-Range", `bytes ${at}-${bytes.length - 1}/${bytes.length}`);
  }
  response.setHeader("Content-Length", bytes.length - at);
  response.end(bytes.subarray(at));
}

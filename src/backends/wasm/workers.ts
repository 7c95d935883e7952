/** Worker threads of Node or of a browser, behind one interface. Idle ones are kept: a device that opens takes them over. */
import type { Worker as NodeWorker } from "node:worker_threads";
import { builtin } from "../../core/host.js";
import { workerSource } from "./worker.js";

/** What a worker says; `owner` is the device that it was started for. */
export type Report =
  | { readonly kind: "done"; readonly owner: number; readonly ticket: number; readonly result: number }
  | { readonly kind: "failed"; readonly owner: number; readonly message: string }
  | { readonly kind: "idle"; readonly owner: number };

export interface Thread {
  post(message: object): void;
  /** Whether a pending answer keeps the process alive. */
  hold(held: boolean): void;
  end(): void;
  /** Who hears reports, and of the thread's death. */
  owner: { report(r: Report): void; died(why: string): void } | undefined;
}

const idle: Thread[] = [];
const mostIdle = 16;

/** Whether memory can be shared with other threads here: always in Node, in a page where it is isolated from other origins. */
export const canShare = (): boolean =>
  typeof SharedArrayBuffer === "function" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;

/** How threads are made here. */
export function threadMaker(): () => Thread {
  const Worker = builtin("node:worker_threads")?.Worker;
  if (!Worker) return () => idle.pop() ?? inPage();
  return () => idle.pop() ?? inNode(new Worker(workerSource, { eval: true, name: "treepie" }));
}
/** Keeps a thread that is idle again for the next device. */
export function giveThread(t: Thread): void {
  t.owner = undefined;
  t.hold(false);
  if (idle.length < mostIdle) idle.push(t);
  else t.end();
}
function forget(t: Thread, why: string): void {
  const i = idle.indexOf(t);
  if (i >= 0) idle.splice(i, 1);
  t.owner?.died(why);
}

function inNode(worker: NodeWorker): Thread {
  const t: Thread = {
    post: (message) => worker.postMessage(message),
    hold: (held) => (held ? worker.ref() : worker.unref()),
    end: () => void worker.terminate(),
    owner: undefined,
  };
  worker.on("message", (r: Report) => t.owner?.report(r));
  worker.on("error", (error) => forget(t, error.message));
  worker.on("exit", (code) => forget(t, `it ended with code ${code}`));
  worker.unref();
  return t;
}
/** What a page has of workers, as far as it is used here. */
interface PageWorker {
  postMessage(message: object): void;
  terminate(): void;
  onmessage: ((e: { readonly data: Report | { readonly kind: "alive" } }) => void) | null;
  onerror: ((e: { readonly message: string }) => void) | null;
}
interface PageGlobals {
  readonly Worker: new (url: string, options: { readonly name: string }) => PageWorker;
  /** Only where a page came over https. */
  readonly navigator: { readonly locks?: { request(name: string, then: () => void): Promise<void> } };
}
let url: string | undefined;
function inPage(): Thread {
  url ??= URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  const { Worker, navigator } = globalThis as unknown as PageGlobals;
  const name = navigator.locks ? crypto.randomUUID() : "treepie";
  const worker = new Worker(url, { name });
  let ended = false;
  const t: Thread = {
    post: (message) => worker.postMessage(message),
    hold: () => {},
    end: () => {
      ended = true;
      worker.terminate();
    },
    owner: undefined,
  };
  worker.onmessage = ({ data }) => {
    if (data.kind !== "alive") return t.owner?.report(data);
    // The worker holds a lock of its name for as long as it lives.
    const gone = (): void => {
      if (!ended) forget(t, "the browser ended it");
    };
    navigator.locks!.request(name, gone).catch(() => {});
  };
  worker.onerror = (e) => forget(t, e.message);
  return t;
}

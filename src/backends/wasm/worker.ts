/**
 * The program of a worker thread, as text: Node runs it with `eval`, a browser from a Blob, so a package needs no file that a bundler
 * would have to find. It waits in WebAssembly and comes back to its event loop for messages only.
 */
import { control } from "./control.js";
import { engineFunctions } from "./engine.js";

/** The text. Messages to it: start (memory, modules, which thread it is), load (kernels by place), and from it: alive, done, failed. */
export const workerSource: string = `"use strict";
const node = typeof require === "function" ? require("node:worker_threads") : undefined;
const port = node ? node.parentPort : self;
const engine = { rem: (a, b) => a % b };
for (const name of ${JSON.stringify(engineFunctions)}) engine[name] = Math[name];
let state;
function fail(error) {
  Atomics.store(state.words, state.control / 4 + ${control.failed / 4}, 1);
  port.postMessage({ kind: "failed", message: String((error && error.stack) || error), owner: state.owner });
}
function serve() {
  const { driver, words, owner, thread } = state;
  const at = state.control / 4;
  for (;;) {
    let why = 2;
    try { why = driver.serve(state.control, thread, state.version); } catch (error) { fail(error); }
    if (why === 1) return;
    if (why === 2) { state = undefined; port.postMessage({ kind: "idle", owner }); return; }
    const ticket = Atomics.load(words, at + ${control.command / 4});
    let result = 2;
    try { result = driver.run(state.control, words[at + ${control.table / 4}] >>> 0, words[at + ${control.end / 4}] >>> 0); } catch (error) { fail(error); }
    words[at + ${control.result / 4}] = result;
    Atomics.store(words, at + ${control.completed / 4}, ticket);
    Atomics.notify(words, at + ${control.completed / 4});
    port.postMessage({ kind: "done", ticket, result, owner });
  }
}
function receive(m) {
  if (m.kind === "start") {
    const table = new WebAssembly.Table({ element: "anyfunc", initial: 64 });
    const { exports: driver } = new WebAssembly.Instance(m.driver, { m: { memory: m.memory, table } });
    state = { memory: m.memory, table, driver, control: m.control, thread: m.thread, owner: m.owner, version: 0, words: new Int32Array(m.memory.buffer) };
  } else if (!state || m.owner !== state.owner) return;
  else if (m.kind === "stop") return serve();
  else {
    try {
      for (const place of m.dropped) if (place < state.table.length) state.table.set(place, null);
      for (const [place, module] of m.kernels) {
        if (place >= state.table.length) state.table.grow(Math.max(64, place + 1 - state.table.length));
        state.table.set(place, new WebAssembly.Instance(module, { m: { memory: state.memory }, f: engine }).exports.k);
      }
      state.version = m.version;
    } catch (error) { fail(error); return; }
  }
  if (state.version >= Atomics.load(state.words, state.control / 4 + ${control.mail / 4}) || Atomics.load(state.words, state.control / 4 + ${control.stop / 4})) serve();
}
if (node) port.on("message", receive);
else {
  // A browser may end a worker without a word; the lock that it holds is then free.
  const held = self.navigator.locks && new Promise((ready) => self.navigator.locks.request(self.name, () => {
    port.postMessage({ kind: "alive" });
    ready();
    return new Promise(() => {});
  }).catch(ready));
  // What is thrown in a promise is no error of a worker.
  const loud = (error) => setTimeout(() => { throw error; });
  self.onmessage = held ? (e) => held.then(() => receive(e.data)).catch(loud) : (e) => receive(e.data);
}
`;

// onnxruntime-web on its WebAssembly provider, with SIMD and a thread for every core.
import { availableParallelism } from "node:os";
import { onnxJobs } from "./onnx.mjs";
import { serve } from "./serve.mjs";

await serve("onnxruntime-web", async () => {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = availableParallelism();
  return onnxJobs(ort, "wasm");
});

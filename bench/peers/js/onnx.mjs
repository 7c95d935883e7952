// ONNX Runtime. Models are written by ../onnx_models.py, which needs Python's onnx.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { values } from "./serve.mjs";

/** Jobs for a runtime on one of its providers. */
export function onnxJobs(ort, provider) {
  const here = dirname(fileURLToPath(import.meta.url));
  const job = (kind) => async (spec, inputs) => {
    const file = join(here, "..", "..", "..", "runs", "bench", `${kind}.onnx`);
    const shapes = JSON.stringify({ shapes: inputs.map((x) => x.shape), spec });
    execFileSync(process.env.TREEPIE_PYTHON ?? "python3", [join(here, "..", "onnx_models.py"), kind, shapes, file], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const session = await ort.InferenceSession.create(file, { executionProviders: [provider], graphOptimizationLevel: "all" });
    const feeds = Object.fromEntries(
      session.inputNames.map((name, i) => [name, new ort.Tensor("float32", values(inputs[i]), inputs[i].shape)]),
    );
    const once = async () => (await session.run(feeds))[session.outputNames[0]];
    return {
      async values() {
        await once();
        return (await once()).data;
      },
      async run(calls) {
        for (let i = 0; i < calls; i++) await once();
      },
      close: () => void session.release(),
    };
  };
  return {
    matmul: job("matmul"),
    softmax: job("softmax"),
    layernorm: job("layernorm"),
    resnet18: job("resnet18"),
    "gpt2-prefill": job("gpt2-prefill"),
  };
}

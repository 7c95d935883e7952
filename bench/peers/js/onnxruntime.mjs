// onnxruntime-node on its CPU provider.
import { onnxJobs } from "./onnx.mjs";
import { serve } from "./serve.mjs";

await serve("onnxruntime", async () => onnxJobs((await import("onnxruntime-node")).default, "cpu"));

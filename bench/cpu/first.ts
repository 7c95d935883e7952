/** A process that makes its first result and says so: `node first.js KIND FOLDER [BACKEND]`. What the compile rows time, from the outside. */
import { readFileSync } from "node:fs";
import { evaluate, llm, ready, setDefaultBackend, synchronize, tensor } from "#treepie";

/** Bytes. What `getrusage` tells begins with what the parent held when it forked; this begins with the program. */
function largestResident(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
}

const [kind, folder, backend = "c"] = process.argv.slice(2) as [string, string, string?];
setDefaultBackend(backend);
await ready();
switch (kind) {
  case "token": {
    // Where weights go to memory of the device's own, that time is told apart.
    const from = performance.now();
    const model = await llm.loadModel(folder, { maxLength: 256 });
    if (backend !== "c") {
      await evaluate(...model.model.parameters());
      await synchronize();
    }
    const upload = backend === "c" ? 0 : (performance.now() - from) / 1000;
    const prompt = Array.from({ length: 32 }, (_, i) => i + 1);
    for await (const token of model.generateTokens(prompt, { maxTokens: 1, stopTokens: [] }))
      console.log(JSON.stringify({ token, upload }));
    break;
  }
  case "memory": {
    const model = await llm.loadModel(folder, { maxLength: 256 });
    const prompt = Array.from({ length: 32 }, (_, i) => i + 1);
    for await (const _ of model.generateTokens(prompt, { maxTokens: 32, stopTokens: [] }));
    console.log(JSON.stringify({ peak: largestResident() }));
    break;
  }
  case "step": {
    const { trainer } = await import("./training.js");
    const step = await trainer(folder, "f32");
    const tokens = tensor(new Uint8Array(512).fill(7), [4, 128], { dtype: "i64" });
    console.log(JSON.stringify({ loss: await step(tokens, tokens).item() }));
    break;
  }
  case "image": {
    const { resnet } = await import("./resnet.js");
    const infer = resnet(folder);
    const logits = (await infer(tensor(new Float32Array(3 * 224 * 224).fill(0.5), [1, 3, 224, 224])).data()) as Float32Array;
    console.log(JSON.stringify({ logit: logits[0] }));
    break;
  }
  default:
    throw new Error(`no kind ${kind}`);
}
process.exit(0);

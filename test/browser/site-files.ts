/** What tests give to the page: models that are sound, and some that are not. */
import { wasm } from "../../src/backends/wasm/index.js";
import { exportContents } from "../../src/export.js";
import { GPT, gptMethods } from "../../src/models/index.js";
import { encodePie } from "../../src/runtime/public.js";
import { manualSeed, type Tensor, zeros } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { nextFile } from "./files.js";

/** Files by name. */
export async function siteFiles(): Promise<Readonly<Record<string, Uint8Array | string>>> {
  useDevice("js");
  manualSeed(1);
  const { methods, options } = gptMethods(new GPT({ vocabulary: 256, width: 32, heads: 2, layers: 2, context: 32 }));
  const demo = Buffer.concat(encodePie(await exportContents(methods, { ...options, targets: [wasm.codegen({ threads: 2 })] })));
  return {
    "demo.pie": demo,
    "cut.pie": demo.subarray(0, demo.length - 1000),
    "next.pie": await nextFile([]),
    "large.pie": await largeFile(2_000_000_347),
    "larger.pie": await largeFile(400_000_000_347),
    "letter.txt": "Dear reader,\n",
    "text.txt": "All work and no play makes a dull model. ".repeat(5000),
  };
}
/** A text model that begins with that many zeros: more than WebAssembly has room for, or than any device. */
async function largeFile(many: number): Promise<Uint8Array> {
  const few = 12_347;
  const memory = zeros([few]);
  const decode = {
    fn: (token: Tensor) => ({ next: token.add(memory.at(0).to("i64")) }),
    inputs: { token: zeros([1], { dtype: "i64" }) },
  };
  const { methods, ...rest } = await exportContents({ decode }, { metadata: { kind: "byte-language-model", vocabulary: "256" } });
  const name = methods[0]!.state[0]!;
  const large = { name, dtype: "f32" as const, shape: [many], blob: undefined };
  return Buffer.concat(
    encodePie({
      ...rest,
      methods: methods.map((m) => ({ ...m, graph: m.graph.replaceAll(String(few), String(many)) })),
      state: new Map([[name, large]]),
    }),
  );
}

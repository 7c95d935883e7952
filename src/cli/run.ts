/** `treepie run`: one method of a .pie file on tensors from a file. */

import { hostFunctions } from "../backends/interp/host.js";
import { backends, preference } from "../devices.js";
import { compileMethod } from "../export.js";
import { type HostTensor, openSafetensors, Session, writeSafetensors } from "../runtime/index.js";
import { openBackend } from "./open.js";

export interface RunCommand {
  readonly input?: string;
  readonly out?: string;
  readonly trust?: boolean;
  readonly device?: string;
  readonly json?: boolean;
}

export async function run(file: string, method: string, o: RunCommand): Promise<void> {
  const { codegen, device } = await openBackend(backends, o.device ? [o.device] : preference);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  try {
    const session = await Session.open(file, {
      device,
      trust: o.trust === true,
      methods: [method],
      host: hostFunctions,
      ...(codegen && { compile: compileMethod(codegen) }),
      signal: stop.signal,
    });
    const outputs = await session.run(method, o.input ? readInputs(o.input) : {}, { signal: stop.signal });
    if (o.out) writeSafetensors(o.out, new Map(Object.entries(outputs)));
    else if (o.json)
      console.log(
        JSON.stringify(
          Object.fromEntries(
            Object.entries(outputs).map(([k, t]) => [
              k,
              { dtype: t.dtype, shape: t.shape, data: Array.from(t.data as ArrayLike<number | bigint>, String) },
            ]),
          ),
        ),
      );
    else for (const [name, t] of Object.entries(outputs)) console.log(`${name}: ${t.dtype} [${t.shape.join(", ")}] ${preview(t)}`);
    await session.dispose();
  } finally {
    await device.close();
  }
}
function readInputs(path: string): Record<string, HostTensor> {
  const file = openSafetensors(path);
  try {
    return Object.fromEntries([...file.tensors.keys()].map((name) => [name, file.read(name)]));
  } finally {
    file.close();
  }
}
function preview(t: HostTensor): string {
  const data = Array.from(t.data as ArrayLike<number | bigint>);
  return data.length > 16 ? `${data.slice(0, 16).join(", ")}, ... (${data.length} elements; --out FILE writes all)` : data.join(", ");
}

/** Runs a step that is computed on the host. */
import { DeviceError } from "../core/errors.js";
import { concrete, type HostStep, type Sizes } from "./encode.js";
import type { HostFunction } from "./program.js";

/** What a host step needs of the program that it is part of. */
export interface HostCall {
  readonly functions: ReadonlyMap<string, HostFunction>;
  readonly sizes: Sizes;
  /** Bytes of every buffer. */
  readonly bytes: readonly number[];
  read(buffer: number): Uint8Array;
  write(buffer: number, bytes: Uint8Array): void;
}

/** Reads the inputs of a step, computes, checks the results' sizes and writes them. */
export function runHost(step: HostStep, call: HostCall): void {
  const { sizes } = call;
  const inputs = step.inputs.map((b, i) => ({ type: concrete(step.inputTypes[i]!, sizes), bytes: call.read(b) }));
  const outputs = step.outputTypes.map((t) => concrete(t, sizes));
  const results = call.functions.get(step.call)!(step.payload, inputs, outputs, sizes);
  step.outputs.forEach((b, i) => {
    const bytes = results[i];
    if (!bytes || bytes.length !== call.bytes[b])
      throw new DeviceError(
        `the host function ${step.call} gave ${bytes?.length ?? "no"} bytes for result ${i}, ${call.bytes[b]} are needed`,
      );
    call.write(b, bytes);
  });
}

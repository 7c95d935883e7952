/** Pipelines of one device by the text of their kernels: made in parallel off this thread, shared by programs, counted. */
import { CompileError } from "../../core/errors.js";
import type { KernelCode } from "../../runtime/program.js";
import { compute } from "./flags.js";

/** A kernel that can be dispatched. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}
interface Held {
  readonly made: Promise<Pipeline>;
  users: number;
}

/** A kernel as one launch binds it. */
export interface Wanted {
  readonly kernel: KernelCode;
  readonly prelude: string;
  readonly dims: number;
  /**
   * Bindings that it only reads and that are bound for writing nevertheless: a device takes one use of a buffer in a launch, and the
   * arena that they lie in is written as well.
   */
  readonly opened: readonly number[];
  /** What it computes, for messages. */
  readonly label: string;
}

/** The argument that each binding of a kernel is, or is a chunk of. */
export const argumentsOf = (kernel: KernelCode): readonly number[] =>
  kernel.writes.flatMap((_, i) => new Array<number>(kernel.chunks?.of[i] ?? 1).fill(i));

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #held = new Map<string, Held>();
  /** Pipelines made so far. */
  made = 0;
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  static key(w: Wanted): string {
    return JSON.stringify([w.kernel.source, w.kernel.entry, w.prelude, w.dims, w.opened]);
  }
  /** The pipeline of a key; it is given back with `release`. */
  hold(key: string, w: Wanted): Promise<Pipeline> {
    let held = this.#held.get(key);
    if (!held) {
      held = { made: this.#make(w), users: 0 };
      held.made.catch(() => this.#held.delete(key));
      this.#held.set(key, held);
      this.made++;
    }
    held.users++;
    return held.made;
  }
  release(key: string): void {
    const held = this.#held.get(key);
    if (held && --held.users <= 0) this.#held.delete(key);
  }

  async #make({ kernel, prelude, dims, opened, label }: Wanted): Promise<Pipeline> {
    if (typeof kernel.source !== "string") throw new CompileError(`kernel ${kernel.entry} is not WGSL text`);
    const code = opened.reduce(
      (text, i) => text.replace(`@binding(${i}) var<storage, read> `, `@binding(${i}) var<storage, read_write> `),
      `${prelude}\n${kernel.source}`,
    );
    const name = `${kernel.entry} (${label})`;
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ code, label: name });
    const refused = this.#device.popErrorScope();
    const { messages } = await module.getCompilationInfo();
    const wrong = messages.find((m) => m.type === "error");
    if (wrong)
      throw new CompileError(
        `WebGPU refused generated code of ${name}: ${wrong.message}\n${wrong.lineNum}: ${code.split("\n")[wrong.lineNum - 1] ?? ""}`,
      );
    const error = await refused;
    if (error) throw new CompileError(`WebGPU refused generated code of ${name}: ${error.message}`);
    const bound = argumentsOf(kernel);
    const layout = this.#device.createBindGroupLayout({
      label: name,
      entries: [
        ...bound.map((argument, binding) => ({
          binding,
          visibility: compute,
          buffer: { type: kernel.writes[argument] || opened.includes(binding) ? ("storage" as const) : ("read-only-storage" as const) },
        })),
        ...(dims ? [{ binding: bound.length, visibility: compute, buffer: { type: "uniform" as const } }] : []),
      ],
    });
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        label: name,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: kernel.entry },
      });
      return { pipeline, layout };
    } catch (cause) {
      throw new CompileError(`WebGPU makes no pipeline of ${name}: ${(cause as Error).message}`, { cause });
    }
  }
}

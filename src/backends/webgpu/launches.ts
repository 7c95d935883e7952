/** A program's steps as dispatches; bind groups are kept between calls and made anew where buffers moved. */
import { ShapeError, UnsupportedError } from "../../core/errors.js";
import { roundUp } from "../../core/numbers.js";
import { type HostStep, valueOf } from "../../runtime/encode.js";
import { type Addresses, Prepared } from "../../runtime/prepared.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { copyKernel, copyWords } from "./move.js";
import { type Place, rangesOf, samePlace } from "./pieces.js";
import { argumentsOf, type Pipeline, type Wanted } from "./pipelines.js";
import type { Stamps } from "./stamps.js";

/** What the launches need of the device. */
export interface Places extends Addresses<Place> {
  readonly device: GPUDevice;
  /** A uniform buffer of at least that many bytes, instead of `old`. */
  uniforms(bytes: number, old: GPUBuffer | undefined): GPUBuffer;
}
/** Launches that follow each other. */
export interface Dispatches {
  readonly kind: "launches";
  readonly from: number;
  readonly to: number;
}
export type Segment = Dispatches | { readonly kind: "host"; readonly step: HostStep };
interface Launch {
  readonly pipeline: Pipeline;
  readonly groups: readonly [x: number, y: number];
  readonly bindings: readonly Bound[];
  readonly dims: readonly number[];
  /** Place of its dims in the uniform buffer. */
  uniform: number;
  bound: GPUBindGroup | undefined;
  /** Bind groups of the last calls, the latest first: memory that calls hand in and get back comes from few blocks. */
  known: readonly Known[];
  readonly label: string;
  /** Number of its step in the program. */
  readonly step: number;
}
/** Bytes of a buffer that one binding holds. */
interface Bound {
  readonly buffer: number;
  readonly from: number;
  readonly bytes: number;
}
interface Known {
  readonly group: GPUBindGroup;
  readonly places: readonly Place[];
}
/** Bind groups that a launch keeps. */
const mostKnown = 8;
/** Bindings hold whole elements of the widest type; memory comes in larger pieces. */
export const leastBytes = 16;
/** Bytes that one copy in a program covers: every device binds that many. */
const copyBytes = 128 << 20;
/** Places of dims are multiples of this many bytes on every device. */
const uniformAlign = 256;

/** What each step dispatches; undefined for host steps. */
export function wantedOf(program: Program): (Wanted | undefined)[] {
  const isTemp = (b: number): boolean => program.buffers[b]!.role === "temp";
  return program.steps.map((step) => {
    if (step.kind === "host") return undefined;
    const kernel = step.kind === "copy" ? copyKernel : program.kernels[step.kernel]!;
    const buffers = buffersOf(step);
    const writesArena = kernel.writes.some((w, i) => w && isTemp(buffers[i]!));
    const isOpened = (i: number): boolean => writesArena && !kernel.writes[i] && isTemp(buffers[i]!);
    return {
      kernel,
      prelude: step.kind === "copy" ? "" : program.prelude,
      dims: step.kind === "copy" ? 1 : step.dims.length,
      opened: argumentsOf(kernel).flatMap((argument, binding) => (isOpened(argument) ? [binding] : [])),
      label: step.note?.label ?? step.kind,
    };
  });
}
/** Bytes of a buffer that is an argument of a kernel, binding by binding. */
function chunksOf({ chunks }: KernelCode, argument: number, buffer: number, bytes: number): Bound[] {
  const count = chunks?.of[argument] ?? 1;
  const first = chunks?.from ? chunks.from[argument]! : count > 1 ? 0 : null;
  if (first === null) return [{ buffer, from: 0, bytes }];
  return Array.from({ length: count }, (_, c) => {
    const from = (first + c) * chunks!.bytes;
    return { buffer, from, bytes: Math.min(chunks!.bytes, bytes - from) };
  });
}
const buffersOf = (step: Exclude<Step, { kind: "host" }>): readonly number[] =>
  step.kind === "copy" ? [step.from, step.to] : step.buffers;

export class Launches extends Prepared<Places, Place> {
  readonly #pipelines: readonly (Pipeline | undefined)[];
  #launches: Launch[] = [];
  /** Which launches use a buffer. */
  #uses: number[][] = [];
  uniforms: GPUBuffer | undefined;
  segments: readonly Segment[] = [];

  /** `pipelines[i]` is that of step i. */
  constructor(program: Program, pipelines: readonly (Pipeline | undefined)[], constants: readonly (Place | undefined)[]) {
    super(program, constants);
    this.#pipelines = pipelines;
  }

  /** Records a segment. Returns how many dispatches that were. */
  encode(encoder: GPUCommandEncoder, segment: Dispatches, places: Places): number {
    const pass = encoder.beginComputePass({ label: this.program.name });
    for (let i = segment.from; i < segment.to; i++) this.#record(pass, this.#launches[i]!, places);
    pass.end();
    return segment.to - segment.from;
  }
  /** The same with timestamps. */
  encodeTimed(encoder: GPUCommandEncoder, segment: Dispatches, places: Places, stamps: Stamps): void {
    for (let i = segment.from; i < segment.to; i++) {
      const pass = encoder.beginComputePass(stamps.pass(i - segment.from));
      this.#record(pass, this.#launches[i]!, places);
      pass.end();
    }
    stamps.finish(encoder);
  }
  /** The steps of a segment's dispatches, by number. */
  stepsOf(segment: Dispatches): readonly number[] {
    return this.#launches.slice(segment.from, segment.to).map((l) => l.step);
  }

  #record(pass: GPUComputePassEncoder, l: Launch, places: Places): void {
    l.bound ??= this.#bind(l, places);
    pass.setPipeline(l.pipeline.pipeline);
    pass.setBindGroup(0, l.bound);
    pass.dispatchWorkgroups(l.groups[0], l.groups[1]);
  }

  #bind(l: Launch, places: Places): GPUBindGroup {
    const at = l.bindings.map((b) => this.address(b.buffer, places));
    const old = l.known.find((k) => k.places.every((p, i) => samePlace(p, at[i]!)));
    const group = old?.group ?? this.#group(l, at, places);
    l.known = [{ group, places: at }, ...l.known.filter((k) => k !== old)].slice(0, mostKnown);
    return group;
  }
  #group(l: Launch, at: readonly Place[], places: Places): GPUBindGroup {
    const most = places.device.limits.maxStorageBufferBindingSize;
    const entries: GPUBindGroupEntry[] = l.bindings.map(({ from, bytes }, binding) => {
      const size = Math.max(leastBytes, roundUp(bytes, leastBytes));
      if (size > most)
        throw new UnsupportedError(
          `${this.program.name}: ${l.label} binds ${size} bytes of a buffer whose size changes from call to call, and this WebGPU device binds at most ${most}; compile for fixed shapes, split the tensor, or use narrower elements`,
        );
      const [resource, ...others] = rangesOf(at[binding]!, from, size);
      if (others.length)
        throw new UnsupportedError(
          `${this.program.name}: ${l.label} binds ${size} bytes of temporaries that cross from one buffer of ${at[binding]!.pieces.pieceBytes} bytes to the next; compile for fixed shapes, or use smaller ones`,
        );
      return { binding, resource: resource! };
    });
    if (l.dims.length)
      entries.push({ binding: entries.length, resource: { buffer: this.uniforms!, offset: l.uniform, size: 4 * l.dims.length } });
    return places.device.createBindGroup({ label: l.label, layout: l.pipeline.layout, entries });
  }

  protected override move(buffer: number): void {
    for (const i of this.#uses[buffer]!) this.#launches[i]!.bound = undefined;
  }

  protected override write(places: Places): void {
    const p = this.program;
    const launches: Launch[] = [];
    const segments: Segment[] = [];
    let begin = 0;
    const close = (): void => {
      if (launches.length > begin) segments.push({ kind: "launches", from: begin, to: launches.length });
      begin = launches.length;
    };
    const most = places.device.limits.maxComputeWorkgroupsPerDimension;
    for (const [i, step] of p.steps.entries()) {
      if (step.kind === "host") {
        close();
        segments.push({ kind: "host", step });
        continue;
      }
      const label = step.note?.label ?? step.kind;
      const push = (grid: number, dims: readonly number[], bindings: readonly Bound[]): void => {
        if (grid === 0) return;
        const y = Math.ceil(grid / most);
        if (y > most || dims.some((d) => d > 0x7fffffff)) throw new ShapeError(`${p.name}: ${label} is too large for one WebGPU dispatch`);
        const groups = [Math.ceil(grid / y), y] as const;
        launches.push({ pipeline: this.#pipelines[i]!, groups, bindings, dims, uniform: 0, bound: undefined, known: [], label, step: i });
      };
      if (step.kind === "copy") {
        const all = this.bytes[step.to]!;
        for (let from = 0; from < all; from += copyBytes) {
          const bytes = Math.min(copyBytes, all - from);
          const bindings = [step.from, step.to].map((buffer) => ({ buffer, from, bytes }));
          push(Math.ceil(bytes / 4 / copyWords), [bytes], bindings);
        }
        continue;
      }
      const kernel = p.kernels[step.kernel]!;
      push(
        valueOf(step.grid, this.sizes, `the grid of ${label}`),
        step.dims.map((d) => valueOf(d, this.sizes, "a dim")),
        step.buffers.flatMap((buffer, k) => chunksOf(kernel, k, buffer, this.bytes[buffer]!)),
      );
    }
    close();
    this.#launches = launches;
    this.segments = segments;
    this.#uses = p.buffers.map(() => []);
    launches.forEach((l, i) => {
      for (const b of new Set(l.bindings.map((x) => x.buffer))) this.#uses[b]!.push(i);
    });
    this.#fill(places);
  }

  /** Writes the dims of the launches, equal ones once. */
  #fill(places: Places): void {
    const widest = Math.max(0, ...this.#launches.map((l) => l.dims.length));
    if (!widest) return;
    const pitch = roundUp(4 * widest, uniformAlign);
    const known = new Map<string, number>();
    for (const l of this.#launches) {
      if (!l.dims.length) continue;
      const key = l.dims.join();
      l.uniform = known.get(key) ?? known.size * pitch;
      known.set(key, l.uniform);
    }
    const data = new Int32Array((known.size * pitch) / 4);
    for (const l of this.#launches) data.set(l.dims, l.uniform / 4);
    this.uniforms = places.uniforms(data.byteLength, this.uniforms);
    places.device.queue.writeBuffer(this.uniforms, 0, data);
  }
}

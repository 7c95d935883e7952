/** `treepie inspect`: what a program or tensor file holds. */

import { explain } from "../compile/explain.js";
import { evaluate, hi, show } from "../core/expr.js";
import { byteLength } from "../core/ndarray.js";
import { showType } from "../core/type.js";
import { openSafetensors, openSource, type Pie, readPie, showBytes, showKey } from "../runtime/index.js";
import { pieMagic } from "../runtime/pie.js";

export interface InspectCommand {
  readonly kernels?: boolean;
  readonly json?: boolean;
}

export async function inspect(file: string, o: InspectCommand): Promise<void> {
  const source = openSource(file);
  try {
    const start = source.size >= pieMagic.length ? source.read(0, pieMagic.length) : new Uint8Array();
    if (pieMagic.every((b, i) => start[i] === b)) programs(readPie(source), o);
    else tensors(file, o);
  } finally {
    source.close();
  }
}

function tensors(path: string, o: InspectCommand): void {
  const file = openSafetensors(path);
  try {
    const list = [...file.tensors.values()];
    const total = list.reduce((sum, t) => sum + t.bytes, 0);
    if (o.json) {
      const entries = list.map(({ name, stored, shape, bytes }) => ({ name, dtype: stored, shape, bytes }));
      console.log(JSON.stringify({ kind: "safetensors", metadata: file.metadata, tensors: entries, bytes: total }, null, 1));
      return;
    }
    for (const t of list) console.log(`${t.name}  ${t.stored} [${t.shape.join(", ")}]  ${showBytes(t.bytes)}`);
    for (const [key, value] of Object.entries(file.metadata))
      console.log(`metadata ${key}: ${value.length > 200 ? `${value.slice(0, 200)}...` : value}`);
    console.log(`${list.length} tensors, ${showBytes(total)}`);
  } finally {
    file.close();
  }
}

function programs(pie: Pie, o: InspectCommand): void {
  const methods = [...pie.methods.values()];
  const states = [...pie.state.values()].map((s) => ({
    name: s.name,
    dtype: s.dtype,
    shape: s.shape,
    bytes: byteLength(s.dtype, s.shape),
  }));
  const summary = methods.map((m) => ({
    name: m.name,
    inputs: m.inputs.map((p) => `${p.name}: ${showType(p.type)}`),
    outputs: m.outputs.map((p) => `${p.name}: ${showType(p.type)}`),
    dims: m.dims.map((d) => `${d.name} in [${d.min}, ${d.max}]`),
    state: m.state.length,
    programs: m.programs.map((p) => {
      const most = Object.fromEntries(p.dims.map((d) => [d.name, d.max]));
      return {
        target: showKey(p.key),
        steps: p.steps.length,
        kernels: p.kernels.length,
        hostSteps: p.steps.filter((s) => s.kind === "host").length,
        arenaBytes: Number.isFinite(hi(p.arena)) ? evaluate(p.arena, most) : show(p.arena),
      };
    }),
  }));
  if (o.json) {
    console.log(JSON.stringify({ kind: "pie", producer: pie.producer, metadata: pie.metadata, methods: summary, state: states }, null, 1));
    return;
  }
  for (const [key, value] of Object.entries(pie.metadata)) console.log(`${key}: ${value}`);
  for (const [i, m] of summary.entries()) {
    console.log(
      `method ${m.name}(${m.inputs.join(", ")}) -> ${m.outputs.join(", ")}${m.dims.length ? `  where ${m.dims.join(", ")}` : ""}`,
    );
    for (const p of m.programs)
      console.log(
        `  for ${p.target}: ${p.steps} steps, ${p.kernels} distinct kernels, ${p.hostSteps} on the host, arena ${typeof p.arenaBytes === "number" ? showBytes(p.arenaBytes) : p.arenaBytes}`,
      );
    if (!m.programs.length) console.log("  no program: the full package compiles its graph");
    if (o.kernels) for (const p of methods[i]!.programs) console.log(explain(p));
  }
  const total = states.reduce((sum, s) => sum + s.bytes, 0);
  for (const s of states) console.log(`state ${s.name}  ${s.dtype} [${s.shape.join(", ")}]  ${showBytes(s.bytes)}`);
  console.log(`${methods.length} methods, ${states.length} states of ${showBytes(total)}, file of ${showBytes(pie.source.size)}`);
}

/** Printing of reductions: over axes and lanes in vectors and texts, over threads by the dialect. */
import { InternalError } from "../core/errors.js";
import type { Text } from "./dialect.js";
import type { Axis, Stmt } from "./kernel.js";
import { place, writePlace } from "./printRegisters.js";
import { bind, bound, bufferOf, type State, spread, within } from "./printState.js";
import { value } from "./printValue.js";

type Combine = Extract<Stmt, { kind: "combine" }>;

/** Inside a vector axis each of its lanes is a reduction of its own: whole vectors are reduced side by side. */
function combineEach(s: State, x: Combine, a: Axis): void {
  const { d } = s;
  const outer = s.lane!;
  if (typeof a.size !== "number") throw new InternalError(`kernel ${s.kernel.name}: combine over ${a.name}, whose size is not constant`);
  const size = a.size;
  const texts: Text[] = [];
  for (let l = 0; l < outer.size; l++)
    bind(s, outer.name, l, () =>
      within(s, { name: a.name, size }, () => {
        const t = value(s, x.value);
        texts.push({ ...t, text: spread(s, t, size), lanes: size });
      }),
    );
  const { dtype } = texts[0]!;
  const text = d.acrossEach(
    x.op,
    texts.map((t) => t.text),
    dtype,
    size,
  );
  const into = bufferOf(s, x.into.buffer);
  s.out.push(writePlace(s, into, place(s, into, bound(s, x.into.index)), text));
}

/** Reduces over axes, lanes and threads into a register. */
export function combine(s: State, x: Combine): void {
  const { d } = s;
  const texts: Text[] = [];
  const walk = (axes: readonly Axis[]): void => {
    const [a, ...rest] = axes;
    if (!a) {
      const t = value(s, x.value);
      texts.push(s.lane ? { ...t, text: spread(s, t, s.lane.size), lanes: s.lane.size } : t);
      return;
    }
    const size = bound(s, a.size);
    if (typeof size !== "number") throw new InternalError(`kernel ${s.kernel.name}: combine over ${a.name}, whose size is not constant`);
    if (a.kind === "vector" && size > 1 && d.vectors === "native" && !s.lane && Number.isInteger(Math.log2(size)))
      within(s, { name: a.name, size }, () => walk(rest));
    else for (let i = 0; i < size; i++) bind(s, a.name, i, () => walk(rest));
  };
  const [only] = x.axes;
  if (d.vectors === "native" && s.lane && s.lane.position === undefined && x.axes.length === 1 && only!.kind === "vector") {
    combineEach(s, x, only!);
    return;
  }
  walk(x.axes);
  const lanes = Math.max(...texts.map((t) => t.lanes));
  const { dtype } = texts[0]!;
  let text = texts
    .map((t) => spread(s, t, lanes))
    .reduce((a, b) =>
      d.op(
        x.op,
        dtype,
        [
          { text: a, lanes, dtype },
          { text: b, lanes, dtype },
        ],
        lanes,
      ),
    );
  if (lanes > 1) text = d.across(x.op, text, dtype, lanes);
  if (x.threads > 1) text = d.overThreads(x.op, text, dtype, x.threads, s.kernel.threads);
  const into = bufferOf(s, x.into.buffer);
  const p = place(s, into, bound(s, x.into.index));
  s.out.push(writePlace(s, into, p, spread(s, { text, lanes: 1, dtype }, p.kind === "lane" ? 1 : p.lanes)));
}

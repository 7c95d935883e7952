/** A live line of losses over steps. */
const size = { width: 640, height: 280, left: 28, right: 2, top: 28, bottom: 26 };
const ns = "http://www.w3.org/2000/svg";

export class Plot {
  readonly #svg: SVGSVGElement;
  #points: (readonly [step: number, loss: number])[] = [];
  #steps = 1;
  #drawn = false;

  constructor(svg: SVGSVGElement) {
    this.#svg = svg;
  }
  begin(steps: number): void {
    this.#points = [];
    this.#steps = steps;
    this.#svg.toggleAttribute("hidden", false);
    this.#draw();
  }
  add(step: number, loss: number): void {
    this.#points.push([step, loss]);
    if (this.#drawn) return;
    this.#drawn = true;
    requestAnimationFrame(() => this.#draw());
  }
  #draw(): void {
    this.#drawn = false;
    const finite = this.#points.filter(([, y]) => Number.isFinite(y));
    // Steps that are far away leave room for those that were done.
    const end = Math.min(this.#steps, 20 * 2 ** Math.ceil(Math.log2(Math.max(20, this.#points.at(-1)?.[0] ?? 1) / 20)));
    const [most, marks] = scale(Math.max(1, ...finite.map(([, y]) => y)));
    const x = (v: number): number => size.left + (v / end) * (size.width - size.left - size.right);
    const y = (v: number): number => size.height - size.bottom - (v / most) * (size.height - size.top - size.bottom);
    const parts: SVGElement[] = [make("text", { x: 0, y: 12 }, "nats per byte")];
    for (const v of marks) {
      parts.push(make("line", { x1: size.left, x2: size.width - size.right, y1: y(v), y2: y(v) }));
      parts.push(make("text", { x: size.left - 8, y: y(v) + 4, "text-anchor": "end" }, `${v}`));
    }
    for (let i = 0; i <= 4; i++) {
      const step = Math.round((end * i) / 4);
      const anchor = i === 4 ? "end" : i === 0 ? "start" : "middle";
      parts.push(make("text", { x: x(step), y: size.height - 6, "text-anchor": anchor }, i === 0 ? "step 0" : `${step}`));
    }
    parts.push(make("polyline", { points: finite.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
    this.#svg.replaceChildren(...parts);
    const last = finite.at(-1);
    if (last)
      this.#svg.setAttribute("aria-label", `Loss over steps: ${last[1].toFixed(3)} nats per byte at step ${last[0]} of ${this.#steps}`);
  }
}
/** The end of an axis from 0 on that holds `most`, and its marks: four to six of them, at round numbers. */
function scale(most: number): readonly [end: number, marks: readonly number[]] {
  const ten = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 5, 10].map((f) => f * ten).find((s) => most / s <= 6)!;
  const count = Math.ceil(most / step);
  return [count * step, Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(6)))];
}
function make(name: string, attributes: Readonly<Record<string, string | number>>, text?: string): SVGElement {
  const element = document.createElementNS(ns, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

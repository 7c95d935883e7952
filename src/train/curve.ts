/** A loss curve as a self-contained SVG. */

export interface Series {
  readonly name: string;
  readonly color: string;
  /** (step, loss) in order of steps; one point is drawn as a horizontal line. */
  readonly points: readonly (readonly [number, number])[];
  readonly dashed?: boolean;
}

const size = { width: 800, height: 480, left: 64, right: 150, top: 36, bottom: 48 };

/** Lines over training steps, with axes, a legend and a title. */
export function lossCurve(title: string, series: readonly Series[]): string {
  const points = series.flatMap((s) => s.points);
  const xMax = Math.max(1, ...points.map(([x]) => x));
  const yMax = Math.max(0.1, ...points.map(([, y]) => y).filter(Number.isFinite)) * 1.05;
  const x = (v: number): string => (size.left + (v / xMax) * (size.width - size.left - size.right)).toFixed(1);
  const y = (v: number): string => (size.height - size.bottom - (v / yMax) * (size.height - size.top - size.bottom)).toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="#fff"/><text x="${size.left}" y="22" font-size="16">${escape(title)}</text>`,
  ];
  for (const t of ticks(yMax))
    parts.push(
      `<line x1="${size.left}" x2="${size.width - size.right}" y1="${y(t)}" y2="${y(t)}" stroke="#ddd"/>`,
      `<text x="${size.left - 8}" y="${y(t)}" text-anchor="end" dominant-baseline="middle">${t}</text>`,
    );
  for (const t of ticks(xMax)) parts.push(`<text x="${x(t)}" y="${size.height - size.bottom + 20}" text-anchor="middle">${t}</text>`);
  parts.push(
    `<text x="${(size.left + size.width - size.right) / 2}" y="${size.height - 8}" text-anchor="middle">step</text>`,
    `<text transform="translate(16 ${size.height / 2}) rotate(-90)" text-anchor="middle">nats per byte</text>`,
  );
  series.forEach((s, i) => {
    const drawn =
      s.points.length === 1
        ? ([
            [0, s.points[0]![1]],
            [xMax, s.points[0]![1]],
          ] as const)
        : s.points;
    const path = drawn.filter(([, v]) => Number.isFinite(v)).map(([a, b]) => `${x(a)},${y(b)}`);
    const dash = s.dashed ? ' stroke-dasharray="6 4"' : "";
    const row = size.top + 16 + 20 * i;
    parts.push(
      `<polyline fill="none" stroke="${s.color}" stroke-width="1.5"${dash} points="${path.join(" ")}"/>`,
      `<line x1="${size.width - size.right + 12}" x2="${size.width - size.right + 36}" y1="${row}" y2="${row}" stroke="${s.color}" stroke-width="2"${dash}/>`,
      `<text x="${size.width - size.right + 42}" y="${row}" dominant-baseline="middle">${escape(s.name)}</text>`,
    );
  });
  return `${parts.join("\n")}\n</svg>\n`;
}
/** About five round numbers from 0 to `limit`. */
function ticks(limit: number): number[] {
  const rough = limit / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough)!;
  return Array.from({ length: Math.floor(limit / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}
const escape = (s: string): string => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

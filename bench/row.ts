/** One line of a benchmark's result. `ratio` > 1 means that ours is better; `limitFraction` 1 means the hardware's limit is reached. */
export interface Row {
  readonly suite: string;
  readonly name: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly peerName: string | null;
  readonly ratio: number | null;
  readonly limit: number | null;
  readonly limitFraction: number | null;
  /** Why something is missing, or what was compared. */
  readonly note?: string;
}

/** A named measurement of a suite. */
export interface Case {
  readonly name: string;
  run(): Promise<readonly Row[]>;
}

export interface Peer {
  readonly name: string;
  readonly value: number;
}

/** Builds a row; the best of the peers is the peer, and a missing peer is named in the note. */
export function row(
  at: { readonly suite: string; readonly name: string; readonly metric: string; readonly unit: string },
  ours: number,
  options: {
    readonly peers?: readonly Peer[];
    readonly missing?: readonly string[];
    readonly lowerIsBetter?: boolean;
    readonly limit?: number;
    readonly note?: string;
  } = {},
): Row {
  const lower = options.lowerIsBetter ?? false;
  const sorted = [...(options.peers ?? [])].sort((a, b) => (lower ? a.value - b.value : b.value - a.value));
  const best = sorted[0];
  const better = (a: number, b: number): number => (lower ? b / a : a / b);
  const notes = [
    ...(options.note ? [options.note] : []),
    ...(options.missing ?? []).map((m) => `not installed: ${m}`),
    ...sorted.map((p) => `${p.name}: ${p.value.toPrecision(4)}`),
  ];
  return {
    ...at,
    ours,
    peer: best?.value ?? null,
    peerName: best?.name ?? null,
    ratio: best ? better(ours, best.value) : null,
    limit: options.limit ?? null,
    limitFraction: options.limit ? better(ours, options.limit) : null,
    ...(notes.length && { note: notes.join("; ") }),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

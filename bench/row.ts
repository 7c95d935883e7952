/**
 * One line of a benchmark's result. `ratio` > 1 means that ours is better; `limitFraction` 1 means the hardware's limit is reached. What
 * was not measured is null: `ours` where the row failed (`error` says how), `peer` where there is none here.
 */
export interface Row {
  readonly suite: string;
  readonly name: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number | null;
  readonly peer: number | null;
  readonly peerName: string | null;
  readonly ratio: number | null;
  readonly limit: number | null;
  readonly limitFraction: number | null;
  /** What the row has to reach, and whether it does. */
  readonly bar?: Bar;
  readonly met?: boolean;
  /** Why something is missing, or what was compared. */
  readonly note?: string;
  readonly error?: string;
}
/** The least ratio, the least fraction of the limit, and the least and the largest value that a row may have. */
export interface Bar {
  readonly ratio?: number;
  readonly limitFraction?: number;
  readonly least?: number;
  readonly most?: number;
}

/** A named measurement of a suite. */
export interface Case {
  readonly name: string;
  /** Names of its rows, where it is not just its own. */
  readonly rows?: readonly string[];
  /** Measures at least the chosen ones of its rows. */
  run(chosen: readonly string[]): Promise<readonly Row[]>;
}

export interface Peer {
  readonly name: string;
  readonly value: number;
}

/** Where a row belongs and what it measures. */
export interface RowHead {
  readonly suite: string;
  readonly name: string;
  readonly metric: string;
  readonly unit: string;
}

/** Builds a row; the best of the peers is the peer, and a missing peer is named in the note. */
export function row(
  at: RowHead,
  ours: number,
  options: {
    readonly peers?: readonly Peer[];
    readonly missing?: readonly string[];
    readonly lowerIsBetter?: boolean;
    readonly limit?: number;
    /** The part of the limit that is reached, where it is not the quotient of the two. */
    readonly limitFraction?: number;
    readonly note?: string;
    readonly bar?: Bar | undefined;
  } = {},
): Row {
  const lower = options.lowerIsBetter ?? false;
  const sorted = [...(options.peers ?? [])].sort((a, b) => (lower ? a.value - b.value : b.value - a.value));
  const best = sorted[0];
  const better = (a: number, b: number): number => (lower ? b / a : a / b);
  const notes = [
    ...(options.note ? [options.note] : []),
    ...(options.missing ?? []).map((m) => `missing: ${m}`),
    ...(sorted.length > 1 ? sorted.map((p) => `${p.name}: ${p.value.toPrecision(4)}`) : []),
  ];
  const ratio = best ? better(ours, best.value) : null;
  const limitFraction = options.limitFraction ?? (options.limit ? better(ours, options.limit) : null);
  const { bar } = options;
  return {
    ...at,
    ours,
    peer: best?.value ?? null,
    peerName: best?.name ?? null,
    ratio,
    limit: options.limit ?? null,
    limitFraction,
    ...(bar && { bar, met: within(bar, ours) && reaches(bar.ratio, ratio) && reaches(bar.limitFraction, limitFraction) }),
    ...(notes.length && { note: notes.join("; ") }),
  };
}
/** What was measured, in two decimals as it is shown, is at least what is asked. */
const reaches = (least: number | undefined, has: number | null): boolean => least === undefined || (has !== null && has >= least - 0.005);

const within = ({ least, most }: Bar, value: number): boolean =>
  value >= (least ?? Number.NEGATIVE_INFINITY) && value <= (most ?? Number.POSITIVE_INFINITY);

/** The row of what is not measured here, and why. */
export function absentRow(at: RowHead, note: string): Row {
  return { ...at, ours: null, peer: null, peerName: null, ratio: null, limit: null, limitFraction: null, note };
}

/** The row of a measurement that failed. */
export function failedRow(at: RowHead, error: unknown, bar?: Bar): Row {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    ...at,
    ours: null,
    peer: null,
    peerName: null,
    ratio: null,
    limit: null,
    limitFraction: null,
    ...(bar && { bar, met: false }),
    error: text.slice(0, 600),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

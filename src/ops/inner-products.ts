/** Sums of products in f64: the reference of `dot` for floats, a loop that a JavaScript engine compiles well. */

/** Sums for [batch, m, k] x [batch, k, n], terms in order. `exact` keeps what each addition loses. */
export function innerProducts(
  left: Float64Array,
  right: Float64Array,
  [batch, m, k, n]: readonly [batch: number, m: number, k: number, n: number],
  exact: boolean,
): Float64Array {
  const out = new Float64Array(batch * m * n);
  // Columns side by side.
  const columns = new Float64Array(n * k);
  const sum = exact ? compensated : plain;
  for (let z = 0; z < batch; z++) {
    for (let l = 0; l < k; l++) for (let j = 0; j < n; j++) columns[j * k + l] = right[(z * k + l) * n + j]!;
    for (let i = z * m; i < (z + 1) * m; i++) for (let j = 0; j < n; j++) out[i * n + j] = sum(left, i * k, columns, j * k, k);
  }
  return out;
}
function plain(a: Float64Array, i: number, b: Float64Array, j: number, k: number): number {
  let s = 0;
  for (let l = 0; l < k; l++) s += a[i + l]! * b[j + l]!;
  return s;
}
/** A sum that is not finite stays as it is: what was lost on the way there means nothing. */
function compensated(a: Float64Array, i: number, b: Float64Array, j: number, k: number): number {
  let s = 0;
  let lost = 0;
  for (let l = 0; l < k; l++) {
    const p = a[i + l]! * b[j + l]!;
    const next = s + p;
    lost += Math.abs(s) >= Math.abs(p) ? s - next + p : p - next + s;
    s = next;
  }
  return Number.isFinite(s) && lost ? s + lost : s;
}

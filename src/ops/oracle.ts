/** Special functions in f64, to about 1 ulp and in no hurry: what the references of special ops stand on. */

const rootPi = Math.sqrt(Math.PI);
/** exp(-x * x), with the rounding error of the square put back. */
function gaussian(x: number): number {
  const high = Math.round(x * 1024) / 1024;
  return Math.exp(-high * high) * Math.exp(-(x - high) * (x + high));
}
/** erfc for x >= 0.75 by its continued fraction, from the inside out. */
function erfcFraction(x: number): number {
  let f = 0;
  for (let k = 600; k >= 1; k--) f = k / 2 / (x + f);
  return gaussian(x) / rootPi / (x + f);
}
/** The error function. */
export function erfOf(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  return a < 0.75 ? erfTaylor(x) : Math.sign(x) * (1 - erfcFraction(a));
}
/** erf near 0, where its alternating series loses nothing. */
function erfTaylor(x: number): number {
  let term = x;
  let sum = 0;
  const terms: number[] = [];
  for (let n = 0; n < 40; n++) {
    terms.push(term / (2 * n + 1));
    term *= (-x * x) / (n + 1);
  }
  for (let n = terms.length - 1; n >= 0; n--) sum += terms[n]!;
  return (2 / rootPi) * sum;
}
/** 1 - erf(x). */
export function erfcOf(x: number): number {
  if (Number.isNaN(x)) return x;
  return x < 0.75 ? 1 - erfOf(x) : x > 27.3 ? 0 : erfcFraction(x);
}

const euler = 0.5772156649015329;
/** zeta(k) - 1 by Euler and Maclaurin's formula. */
function zetaMinus1(k: number): number {
  const n = 40;
  let sum = n ** (1 - k) / (k - 1) + 0.5 * n ** -k + (k / 12) * n ** (-k - 1);
  sum -= ((k * (k + 1) * (k + 2)) / 720) * n ** (-k - 3);
  sum += ((k * (k + 1) * (k + 2) * (k + 3) * (k + 4)) / 30240) * n ** (-k - 5);
  sum -= ((k * (k + 1) * (k + 2) * (k + 3) * (k + 4) * (k + 5) * (k + 6)) / 1209600) * n ** (-k - 7);
  for (let m = n - 1; m >= 2; m--) sum += m ** -k;
  return sum;
}
let zetas: readonly number[] | undefined;
/** log gamma(1 + t) for |t| <= 0.5. */
function lgammaNear1(t: number): number {
  zetas ??= Array.from({ length: 60 }, (_, i) => zetaMinus1(i + 2));
  let series = 0;
  for (let k = 61; k >= 2; k--) series = series * -t + zetas[k - 2]! / k;
  return -Math.log1p(t) + t * (1 - euler) + t * t * series;
}
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
/** log |gamma(x)|: Stirling's series above 20, a power series around 1 with the recurrence below, the reflection formula for negative x. */
export function lgammaOf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (!Number.isFinite(x) || (x <= 0 && Number.isInteger(x))) return Number.POSITIVE_INFINITY;
  if (x < 0) return Math.log(Math.PI / Math.abs(sinPi(x) * x)) - lgammaOf(-x);
  if (x < 0.5) return lgammaNear1(x) - Math.log(x);
  if (x < 20) {
    let product = 1;
    let z = x;
    while (z > 1.5) product *= --z;
    return lgammaNear1(z - 1) + Math.log(product);
  }
  let series = 0;
  for (let k = stirling.length - 1; k >= 0; k--) series = series / (x * x) + stirling[k]!;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series / x;
}
/** sin(pi * x), exact at integers. */
function sinPi(x: number): number {
  const r = x - 2 * Math.round(x / 2);
  return Math.abs(r) > 0.5 ? Math.sin(Math.PI * (Math.sign(r) - r)) : Math.sin(Math.PI * r);
}
/** The derivative of log gamma. */
export function digammaOf(x: number): number {
  if (Number.isNaN(x) || x === Number.POSITIVE_INFINITY) return x;
  if (x === 0) return Object.is(x, -0) ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  if (x < 0) {
    if (Number.isInteger(x)) return Number.NaN;
    return digammaOf(1 - x) - Math.PI / Math.tan(Math.PI * (x - Math.floor(x)));
  }
  // Summed with its rounding errors kept aside.
  let sum = 0;
  let lost = 0;
  const take = (v: number): void => {
    const next = sum + v;
    lost += Math.abs(sum) >= Math.abs(v) ? sum - next + v : v - next + sum;
    sum = next;
  };
  let z = x;
  while (z < 15) take(-1 / z++);
  const w = 1 / (z * z);
  take(Math.log(z));
  take(-0.5 / z - w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * (1 / 132))))));
  return sum + lost;
}
/** The inverse of erf, by bisection and Newton steps. */
export function erfinvOf(x: number): number {
  if (!(Math.abs(x) < 1)) return Math.abs(x) === 1 ? x * Number.POSITIVE_INFINITY : Number.NaN;
  if (x === 0) return x;
  const a = Math.abs(x);
  let [low, high] = [0, 6];
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    if (erfOf(middle) < a) low = middle;
    else high = middle;
  }
  let y = (low + high) / 2;
  for (let i = 0; i < 6; i++) y -= ((a < 0.5 ? erfOf(y) - a : 1 - a - erfcOf(y)) * rootPi) / 2 / gaussian(y);
  return Math.sign(x) * y;
}

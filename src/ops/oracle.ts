/** Special functions in f64, to about 1 ulp and in no hurry: what the references of special ops stand on. */

const rootPi = Math.sqrt(Math.PI);
/** exp(-x * x), with the rounding error of the square put back. */
function gaussian(x: number): number {
  const high = Math.round(x * 1024) / 1024;
  return Math.exp(-high * high) * Math.exp(-(x - high) * (x + high));
}
/** erf by its series of positive terms: 2/sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (2n+1)!!. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / rootPi) * gaussian(x) * sum;
}
/** erfc for x >= 2 by its continued fraction, from the inside out. */
function erfcFraction(x: number): number {
  let f = 0;
  for (let k = 160; k >= 1; k--) f = k / 2 / (x + f);
  return gaussian(x) / rootPi / (x + f);
}
/** The error function. */
export function erfOf(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  return a < 0.75 ? erfTaylor(x) : a < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(a));
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
  if (x < 0.75) return 1 - erfOf(x);
  return x < 2 ? 1 - erfSeries(x) : x > 27.3 ? 0 : erfcFraction(x);
}

const bernoulli = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
/** log |gamma(x)|: Stirling's series above 15, the recurrence below, the reflection formula for negative x. */
export function lgammaOf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (!Number.isFinite(x)) return Number.POSITIVE_INFINITY;
  if (x <= 0 && Number.isInteger(x)) return Number.POSITIVE_INFINITY;
  if (x === 1 || x === 2) return 0;
  if (x < 0) return Math.log(Math.PI / Math.abs(sinPi(x) * x)) - lgammaOf(-x);
  let shift = 1;
  let z = x;
  while (z < 15) shift *= z++;
  let series = 0;
  for (let k = bernoulli.length - 1; k >= 0; k--) series = series / (z * z) + bernoulli[k]!;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series / z - Math.log(shift);
}
/** sin(pi * x), exact at integers. */
function sinPi(x: number): number {
  const r = x - 2 * Math.round(x / 2);
  return Math.abs(r) > 0.5 ? Math.sin(Math.PI * (Math.sign(r) - r)) : Math.sin(Math.PI * r);
}
/** The derivative of log gamma. */
export function digammaOf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x === 0) return Object.is(x, -0) ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  if (x < 0) {
    if (Number.isInteger(x)) return Number.NaN;
    return digammaOf(1 - x) - Math.PI / Math.tan(Math.PI * (x - Math.floor(x)));
  }
  let sum = 0;
  let z = x;
  while (z < 15) sum -= 1 / z++;
  const w = 1 / (z * z);
  const tail = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * (1 / 132)))));
  return sum + Math.log(z) - 0.5 / z - tail;
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

/** Functions that generated JavaScript calls. Names begin with `$`, which no name of a kernel contains. */

/** Text that precedes generated kernels. */
export const prelude: string = `
const $f32 = new Float32Array(1), $u32 = new Uint32Array($f32.buffer), $i32 = new Int32Array($f32.buffer);
const $f64 = new Float64Array(1), $u64 = new BigUint64Array($f64.buffer), $i64 = new BigInt64Array($f64.buffer);
const $halves = (() => {
  const t = new Float32Array(65536), w = new Uint32Array(t.buffer);
  for (let h = 0; h < 65536; h++) {
    const e = (h >>> 10) & 31, m = h & 1023;
    if (e === 0) t[h] = m * 2 ** -24 * (h & 32768 ? -1 : 1);
    else w[h] = (((h & 32768) << 16) | ((e === 31 ? 255 : e + 112) << 23) | (m << 13)) >>> 0;
  }
  return t;
})();
function $widen_f16(h) { return $halves[h]; }
function $widen_bf16(h) { $u32[0] = h << 16; return $f32[0]; }
function $narrow_f16(x) {
  $f32[0] = x;
  const b = $u32[0], s = (b >>> 16) & 0x8000, m = b & 0x7fffffff;
  if (m >= 0x7f800000) return s | (m > 0x7f800000 ? 0x7e00 | ((m >>> 13) & 0x1ff) : 0x7c00);
  if (m >= 0x477ff000) return s | 0x7c00;
  if (m >= 0x38800000) return s | ((m + 0xfff + ((m >>> 13) & 1) - 0x38000000) >>> 13);
  $f32[0] = Math.abs($f32[0]) + 0.5;
  return s | ($u32[0] - 0x3f000000);
}
function $narrow_bf16(x) {
  $f32[0] = x;
  const b = $u32[0];
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x40;
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}
function $round_f16(x) { return $halves[$narrow_f16(x)]; }
function $round_bf16(x) { return $widen_bf16($narrow_bf16(x)); }
function $bits_f32_u32(x) { $f32[0] = x; return $u32[0]; }
function $bits_f32_i32(x) { $f32[0] = x; return $i32[0]; }
function $bits_u32_f32(x) { $u32[0] = x; return $f32[0]; }
function $bits_i32_f32(x) { $i32[0] = x; return $f32[0]; }
function $bits_f64_u64(x) { $f64[0] = x; return $u64[0]; }
function $bits_f64_i64(x) { $f64[0] = x; return $i64[0]; }
function $bits_u64_f64(x) { $u64[0] = x; return $f64[0]; }
function $bits_i64_f64(x) { $i64[0] = x; return $f64[0]; }
function $big(x) { return Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n; }
function $floordiv(a, b) { return Math.floor(a / b); }
function $floormod(a, b) { const r = a % b; return r < 0 ? r + b : r; }
function $mulhi(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const m = ah * bl + ((al * bl) / 65536 >>> 0), n = al * bh + m % 65536;
  return (ah * bh + Math.floor(m / 65536) + Math.floor(n / 65536)) >>> 0;
}
function $bigmax(a, b) { return a > b ? a : b; }
function $bigmin(a, b) { return a < b ? a : b; }
function $bigabs(a) { return a < 0n ? -a : a; }
function $div(a, b) { return b === 0 ? a : Math.trunc(a / b); }
function $rem(a, b) { return b === 0 ? 0 : a % b; }
function $bigdiv(a, b) { return b === 0n ? a : a / b; }
function $bigrem(a, b) { return b === 0n ? 0n : a % b; }
function $ipow(a, b) {
  if (b < 0n) return a === 1n ? 1n : a === -1n ? (b & 1n ? -1n : 1n) : 0n;
  let r = 1n, p = BigInt.asUintN(64, a);
  for (; b; b >>= 1n) { if (b & 1n) r = BigInt.asUintN(64, r * p); p = BigInt.asUintN(64, p * p); }
  return r;
}
function $pow(a, b) { return a === 1 || (a === -1 && (b === Infinity || b === -Infinity)) ? 1 : Math.pow(a, b); }
function $round(x) {
  if (!(Math.abs(x) < 4503599627370496)) return x;
  const m = Math.abs(x), r = m + 4503599627370496 - 4503599627370496;
  return x < 0 || Object.is(x, -0) ? -r : r;
}
function $gaussian(x) { const h = Math.round(x * 1024) / 1024; return Math.exp(-h * h) * Math.exp(-(x - h) * (x + h)); }
// (1 + 2x) exp(x^2) erfc(x) for x >= 0.75 as a Chebyshev series in (x - 3.75) / (x + 3.75), which lies in [-2/3, 1].
const $tail = [
  1.211761089503218, -0.08346974964483767, -0.00790067567478788, 0.012125794943139914, -0.0055442643544499, 0.0017736822190053396,
  -0.00044173128624835434, 8.663218623822214e-5, -1.2775880033849684e-5, 1.1816607477961827e-6, 1.287747517771634e-9,
  -2.0735246835976433e-8, 2.8834717541994143e-9, 4.686678601065234e-11, -6.573501521738592e-11, 5.62246619431696e-12,
  1.0154044216204682e-12, -2.1689154960818456e-13, -1.0493357492511337e-14, 6.31825497895303e-15, -3.963673599719154e-17,
  -1.7596845208210864e-16, 7.27625705478622e-18, 5.071040464449053e-18,
];
function $fraction(x) {
  const u = ((x - 3.75) / (x + 3.75) - 1 / 6) * 1.2, v = 2 * u;
  let b = 0, c = 0;
  for (let k = $tail.length - 1; k > 0; k--) { const d = v * b - c + $tail[k]; c = b; b = d; }
  return $gaussian(x) * (u * b - c + $tail[0]) / (1 + 2 * x);
}
function $taylor(x) {
  const z = -x * x;
  let s = 0;
  for (let n = 24; n >= 0; n--) s = s * z / (n + 1) + 1 / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * x * s;
}
function $erf(x) {
  if (x !== x || x === 0) return x;
  const a = Math.abs(x);
  return a > 6 ? Math.sign(x) : a < 0.75 ? $taylor(x) : Math.sign(x) * (1 - $fraction(a));
}
function $erfc(x) {
  if (x !== x) return x;
  return x < 0.75 ? 1 - $erf(x) : x > 27.3 ? 0 : $fraction(x);
}
function $sinpi(x) { const r = x - 2 * Math.round(x / 2); return Math.abs(r) > 0.5 ? Math.sin(Math.PI * (Math.sign(r) - r)) : Math.sin(Math.PI * r); }
// zeta(k) - 1 for k from 2.
const $zeta = Array.from({ length: 30 }, (_, i) => {
  const k = i + 2, n = 40;
  let z = n ** (1 - k) / (k - 1) + 0.5 * n ** -k + (k / 12) * n ** (-k - 1) - (k * (k + 1) * (k + 2) / 720) * n ** (-k - 3);
  z += (k * (k + 1) * (k + 2) * (k + 3) * (k + 4) / 30240) * n ** (-k - 5);
  for (let m = n - 1; m >= 2; m--) z += m ** -k;
  return z;
});
function $lgammaNear1(t) {
  let s = 0;
  for (let k = 31; k >= 2; k--) s = s * -t + $zeta[k - 2] / k;
  return -Math.log1p(t) + t * (1 - 0.5772156649015329) + t * t * s;
}
function $lgamma(x) {
  if (x !== x) return x;
  if (!Number.isFinite(x) || (x <= 0 && Number.isInteger(x))) return Infinity;
  if (x < 0) return Math.log(Math.PI / Math.abs($sinpi(x) * x)) - $lgamma(-x);
  if (x < 0.5) return $lgammaNear1(x) - Math.log(x);
  if (x < 20) {
    let p = 1, z = x;
    while (z > 1.5) p *= --z;
    return $lgammaNear1(z - 1) + Math.log(p);
  }
  const w = 1 / (x * x);
  const series = 1/12 + w * (-1/360 + w * (1/1260 + w * (-1/1680 + w * (1/1188 + w * (-691/360360 + w / 156)))));
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series / x;
}
`;

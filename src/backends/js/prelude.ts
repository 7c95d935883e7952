/** Functions that generated JavaScript calls. Names begin with `$`, which no name of a kernel contains. */

/** Text that precedes generated kernels. */
export const prelude = String.raw`
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
function $series(x) {
  let t = x, s = x;
  for (let n = 1; Math.abs(t) > 1e-18 * Math.abs(s); n++) { t *= (2 * x * x) / (2 * n + 1); s += t; }
  return (2 / Math.sqrt(Math.PI)) * $gaussian(x) * s;
}
function $fraction(x) { let f = 0; for (let k = x < 3 ? 160 : 60; k >= 1; k--) f = k / 2 / (x + f); return $gaussian(x) / Math.sqrt(Math.PI) / (x + f); }
function $taylor(x) {
  const z = -x * x;
  let s = 0;
  for (let n = 24; n >= 0; n--) s = s * z / (n + 1) + 1 / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * x * s;
}
function $erf(x) {
  if (x !== x || x === 0) return x;
  const a = Math.abs(x);
  return a > 6 ? Math.sign(x) : a < 0.75 ? $taylor(x) : a < 2 ? $series(x) : Math.sign(x) * (1 - $fraction(a));
}
function $erfc(x) {
  if (x !== x) return x;
  return x < 0.75 ? 1 - $erf(x) : x < 2 ? 1 - $series(x) : x > 27.3 ? 0 : $fraction(x);
}
function $sinpi(x) { const r = x - 2 * Math.round(x / 2); return Math.abs(r) > 0.5 ? Math.sin(Math.PI * (Math.sign(r) - r)) : Math.sin(Math.PI * r); }
function $lgamma(x) {
  if (x !== x) return x;
  if (!Number.isFinite(x) || (x <= 0 && Number.isInteger(x))) return Infinity;
  if (x === 1 || x === 2) return 0;
  if (x < 0) return Math.log(Math.PI / Math.abs($sinpi(x) * x)) - $lgamma(-x);
  let shift = 1, z = x;
  while (z < 15) shift *= z++;
  const w = 1 / (z * z);
  const series = 1/12 + w * (-1/360 + w * (1/1260 + w * (-1/1680 + w * (1/1188 + w * (-691/360360 + w / 156)))));
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series / z - Math.log(shift);
}
`;

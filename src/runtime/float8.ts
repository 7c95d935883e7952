/** 8-bit floats of weight files, widened to f32. */

const tables = new Map<string, Float32Array>();

/** f32 bytes of stored F8_E4M3 (finite, NaN at 0x7f) or F8_E5M2 (IEEE-like) elements. */
export function widenF8(stored: string, bytes: Uint8Array): Uint8Array {
  let table = tables.get(stored);
  if (!table) {
    const [exponentBits, bias] = stored === "F8_E5M2" ? [5, 15] : [4, 7];
    const mantissaBits = 7 - exponentBits;
    table = Float32Array.from({ length: 256 }, (_, i) => {
      const exponent = (i & 0x7f) >> mantissaBits;
      const mantissa = i & ((1 << mantissaBits) - 1);
      const sign = i & 0x80 ? -1 : 1;
      if (stored === "F8_E5M2" && exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      if (stored === "F8_E4M3" && (i & 0x7f) === 0x7f) return Number.NaN;
      const fraction = mantissa / (1 << mantissaBits);
      return sign * (exponent ? (1 + fraction) * 2 ** (exponent - bias) : fraction * 2 ** (1 - bias));
    });
    tables.set(stored, table);
  }
  const out = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = table[bytes[i]!]!;
  return new Uint8Array(out.buffer);
}

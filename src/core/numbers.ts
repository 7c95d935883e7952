/** `x` within [least, most]. */
export const clamp = (x: number, least: number, most: number): number => Math.max(least, Math.min(most, x));

/** The least power of two that is not below `x`. */
export const ceilPower = (x: number): number => 2 ** Math.ceil(Math.log2(x));

/** The least multiple of `to` that is not below `x`. */
export const roundUp = (x: number, to: number): number => Math.ceil(x / to) * to;

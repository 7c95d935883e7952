/** `x` within [least, most]. */
export const clamp = (x: number, least: number, most: number): number => Math.max(least, Math.min(most, x));

/** The least multiple of `to` that is not below `x`. */
export const roundUp = (x: number, to: number): number => Math.ceil(x / to) * to;

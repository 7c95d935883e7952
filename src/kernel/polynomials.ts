/** Polynomials in f32 that printers compute transcendental functions with, within 2 ulp on their intervals, lowest power first. */

/** e^r - 1 - r over r^2, |r| <= ln 2 / 2. */
export const expTail: readonly number[] = [0.49999994, 0.166665196, 0.0416683927, 0.00836878084, 0.00138144672];
/** 2^r - 1 over r, |r| <= 1/2. */
export const exp2Tail: readonly number[] = [
  0.693147182, 0.240226507, 0.0555041097, 0.00961803645, 0.0013333431, 0.000154671099, 1.53149467e-5,
];
/** log((1+s)/(1-s)) / s - 2 over s^2, |s| <= 0.1716. */
export const logTail: readonly number[] = [0.666666627, 0.400003344, 0.285372764, 0.235827714];
/** tanh(x) / x - 1 over x^2, |x| <= 0.63. */
export const tanhTail: readonly number[] = [-0.333333313, 0.133331954, -0.0539453775, 0.0216926057, -0.00815627631, 0.00212274259];
/** erf(x) / x - 1 in x^2, |x| <= 1. */
export const erfSmall: readonly number[] = [
  0.128379166, -0.376126379, 0.112837829, -0.0268654451, 0.00522107491, -0.000848471129, 0.000112705427, -9.68013228e-6,
];
/** log(1 - erf(x)), 0.9 <= x <= 4. */
export const erfLarge: readonly number[] = [
  0.00016920513, -1.12948835, -0.633400857, -0.108220384, 0.0250806157, -0.0041562547, 0.000431393564, -2.08286183e-5,
];
/** sin(x) / x - 1 over x^2, |x| <= pi/4. */
export const sinTail: readonly number[] = [-0.166666672, 0.00833332911, -0.000198393347, 2.71830868e-6];
/** cos(x) - 1 + x^2/2 over x^4, |x| <= pi/4. */
export const cosTail: readonly number[] = [0.0416666679, -0.00138888834, 2.47995195e-5, -2.72102113e-7];

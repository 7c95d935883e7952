/** The elementwise families in one place; each file holds one. */
export * from "./arithmetic.js";
export * from "./bitwise.js";
export * from "./cast.js";
export * from "./comparison.js";
export * from "./rounding.js";
export * from "./special.js";
export * from "./transcendental.js";

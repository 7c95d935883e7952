/** Optimizers, gradient clipping and learning-rate schedules. */
export * from "./adam.js";
export * from "./clip.js";
export * from "./optimizer.js";
export * from "./schedule.js";
export * from "./sgd.js";

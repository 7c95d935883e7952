/** Modules: layers, containers, losses, initialisers. */
export * from "./activation.js";
export * from "./attention.js";
export { blank } from "./blank.js";
export * from "./containers.js";
export * from "./conv.js";
export * from "./dropout.js";
export * as init from "./init.js";
export * from "./linear.js";
export * from "./loss.js";
export * from "./module.js";
export * from "./norm.js";
export * from "./prepared.js";

/** BERT. */
export * from "./config.js";
export { Bert, type BertInputs, BertModel } from "./model.js";

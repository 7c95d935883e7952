import { type Binary, binary } from "./define.js";

/** The upper 32 bits of the product of two u32. */
export const mulhi: Binary = binary("mulhi", {
  domain: "bits",
  test: ["u32"],
  reference: (a, b) => Number((BigInt(a) * BigInt(b)) >> 32n),
  integer: (a, b) => (a * b) >> 32n,
});

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { hashOf, portableHash, startHash } from "./sha256.js";

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 131 + (i >> 5)) % 256);

test("the portable SHA-256 is Node's, for every length around a block and any parts", () => {
  for (const length of [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 5000]) {
    const data = bytes.subarray(0, length);
    const wanted = createHash("sha256").update(data).digest("hex");
    expect(portableHash().update(data).digest()).toBe(wanted);
    for (const part of [1, 7, 63, 64, 100]) {
      const hash = portableHash();
      for (let at = 0; at < length; at += part) hash.update(data.subarray(at, Math.min(length, at + part)));
      expect(hash.digest(), `${length} bytes in parts of ${part}`).toBe(wanted);
    }
    expect(startHash().update(data).digest()).toBe(wanted);
  }
  expect(hashOf("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

/** A model and a text small enough for tests. */

/** Options of `treepie train` for a model that trains a hundred steps in a second, without native code. */
export const tiny: readonly string[] = ["--layers", "1", "--width", "16", "--heads", "2", "--context", "16", "--batch", "2"];

/** 200 KiB that look like TypeScript. */
export function sampleText(): string {
  let text = "";
  for (let i = 0; text.length < 200 << 10; i++)
    text += `interface Node${i % 97} { readonly kind: "k${i % 13}"; child${i % 7}?: Node${(i * 31) % 97}; }\n`;
  return text;
}

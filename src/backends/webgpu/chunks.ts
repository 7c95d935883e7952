/** Buffers larger than a binding: chunks of a power of two of bytes, each a variable of the module, found by shifting an element's number. */
import { type Storage, scalarBytes } from "./layout.js";

/** Where elements of a declaration lie: elements of a chunk, a power of two. */
const perChunk = (b: Storage): number => b.chunkBytes / (b.width * scalarBytes(b));
/** The variables of a buffer, one a binding. */
export const chunkNames = (b: Storage): readonly string[] =>
  b.chunks > 1 ? Array.from({ length: b.chunks }, (_, c) => `${b.name}__${c}`) : [b.name];

/** An element of the declaration, read. */
export function element(b: Storage, at: string): string {
  if (b.chunks > 1) return `${b.name}__at(${at})`;
  return b.atomic ? `atomicLoad(&${b.name}[${at}])` : `${b.name}[${at}]`;
}
/** What a statement does with the place of an element of the declaration. */
export function withPlace(b: Storage, at: string, statement: (place: string) => string): string {
  if (b.chunks === 1) return statement(`${b.name}[${at}]`);
  return `{ let u_ = ${at}; ${cases(b, "u_", statement)} }`;
}
/** The function that reads an element of any chunk; `type` is what it reads. */
export const readFunction = (b: Storage, type: string): string =>
  `fn ${b.name}__at(i: i32) -> ${type} { ${cases(b, "i", (place) => (b.atomic ? `return atomicLoad(&${place});` : `return ${place};`))} }`;

function cases(b: Storage, at: string, statement: (place: string) => string): string {
  const n = perChunk(b);
  const each = chunkNames(b).map((name, c) => {
    const label = c + 1 < b.chunks ? `case ${c}:` : "default:";
    return `${label} { ${statement(`${name}[${at} & ${n - 1}]`)} }`;
  });
  return `switch (${at} >> ${Math.log2(n)}u) { ${each.join(" ")} }`;
}

/** Buffers larger than a binding: chunks of a power of two of bytes, each a variable of the module, found by shifting an element's number. */
import { type Storage, scalarBytes } from "./layout.js";

/** Where elements of a declaration lie: elements of a chunk, a power of two. */
const perChunk = (b: Storage): number => b.chunkBytes / (b.width * scalarBytes(b));
/** The variables of a buffer, one a binding. */
export const chunkNames = (b: Storage): readonly string[] =>
  b.first === undefined ? [b.name] : Array.from({ length: b.chunks }, (_, c) => `${b.name}__${b.first! + c}`);
/** Where a binding has an element of a chunk. */
const within = (b: Storage, name: string, at: string): string => `${name}[(${at}) & ${perChunk(b) - 1}]`;
/** The place of an element, where one binding has all that may be meant. */
const single = (b: Storage, at: string): string => (b.first === undefined ? `${b.name}[${at}]` : within(b, chunkNames(b)[0]!, at));

/** An element of the declaration, read. */
export function element(b: Storage, at: string): string {
  if (b.chunks > 1) return `${b.name}__at(${at})`;
  return b.atomic ? `atomicLoad(&${single(b, at)})` : single(b, at);
}
/** What a statement does with the place of an element of the declaration. */
export function withPlace(b: Storage, at: string, statement: (place: string) => string): string {
  if (b.chunks === 1) return statement(single(b, at));
  return `{ let u_ = ${at}; ${cases(b, "u_", statement)} }`;
}
/** The function that reads an element of any chunk; `type` is what it reads. */
export const readFunction = (b: Storage, type: string): string =>
  `fn ${b.name}__at(i: i32) -> ${type} { ${cases(b, "i", (place) => (b.atomic ? `return atomicLoad(&${place});` : `return ${place};`))} }`;

function cases(b: Storage, at: string, statement: (place: string) => string): string {
  const each = chunkNames(b).map((name, c) => {
    const label = c + 1 < b.chunks ? `case ${b.first! + c}:` : "default:";
    return `${label} { ${statement(within(b, name, at))} }`;
  });
  return `switch (${at} >> ${Math.log2(perChunk(b))}u) { ${each.join(" ")} }`;
}

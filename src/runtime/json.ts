import { FormatError } from "../core/errors.js";

/** Text of UTF-8 bytes; malformed sequences are refused. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(`${what} is not UTF-8 text`, { cause });
  }
}

/** JSON as strict readers take it: one value, no name twice in an object, at most 100 levels deep. */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${what} is not JSON: ${(cause as Error).message}`, { cause });
  }
  // The text is valid JSON, so strings, brackets and colons are all there is to look at.
  const open: (Set<string> | undefined)[] = [];
  let last: string | undefined;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const names = open[open.length - 1]!;
      const name = JSON.parse(last!) as string;
      if (names.has(name)) throw new FormatError(`${what} has the name ${last} twice`);
      names.add(name);
    } else last = token;
    if (open.length > 100) throw new FormatError(`${what} is nested too deeply`);
  }
  return value;
}

/** Reads of untrusted JSON: each names what it looked for where it throws. */
export type Json = Readonly<Record<string, unknown>>;

export function asObject(x: unknown, what: string): Json {
  if (typeof x !== "object" || x === null || Array.isArray(x)) throw new FormatError(`${what} is not an object`);
  return x as Json;
}
export function asArray(x: unknown, what: string, most: number = 1 << 20): readonly unknown[] {
  if (!Array.isArray(x)) throw new FormatError(`${what} is not a list`);
  if (x.length > most) throw new FormatError(`${what} has ${x.length} entries; ${most} are the most`);
  return x;
}
export function asString(x: unknown, what: string, most: number = 1 << 12): string {
  if (typeof x !== "string") throw new FormatError(`${what} is not a string`);
  if (x.length > most) throw new FormatError(`${what} has ${x.length} characters; ${most} are the most`);
  return x;
}
/** A whole number in [least, most]. */
export function asInteger(x: unknown, what: string, least: number = 0, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof x !== "number" || !Number.isSafeInteger(x) || x < least || x > most)
    throw new FormatError(`${what} is ${JSON.stringify(x)?.slice(0, 40)}, not a whole number from ${least} to ${most}`);
  return x;
}
/** Refuses names that the format does not know: they would be ignored in silence. */
export function onlyNames(x: Json, names: readonly string[], what: string): void {
  for (const name of Object.keys(x))
    if (!names.includes(name)) throw new FormatError(`${what} has an unknown entry ${JSON.stringify(name.slice(0, 40))}`);
}

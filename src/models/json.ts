/** Reading a model's config.json: a field that is missing or odd is named in the error. */
import { FormatError } from "../core/errors.js";

/** A config.json, or a part of it. */
export type ConfigJson = Readonly<Record<string, unknown>>;

const fault = (json: ConfigJson, key: string, wanted: string): FormatError =>
  new FormatError(`config.json: ${key} must be ${wanted} and is ${key in json ? JSON.stringify(json[key]) : "missing"}`);

/** A number; `fallback` where the field is missing or null. */
export function numberOf(json: ConfigJson, key: string, fallback?: number): number {
  const x = json[key] ?? fallback;
  if (typeof x !== "number" || !Number.isFinite(x)) throw fault(json, key, "a number");
  return x;
}
/** A whole number of at least 1. */
export function sizeOf(json: ConfigJson, key: string, fallback?: number): number {
  const x = json[key] ?? fallback;
  if (typeof x !== "number" || !Number.isSafeInteger(x) || x < 1) throw fault(json, key, "a whole number above 0");
  return x;
}
export function booleanOf(json: ConfigJson, key: string, fallback: boolean): boolean {
  const x = json[key] ?? fallback;
  if (typeof x !== "boolean") throw fault(json, key, "true or false");
  return x;
}
/** One of the given words. */
export function wordOf<T extends string>(json: ConfigJson, key: string, words: readonly T[], fallback?: T): T {
  const x = json[key] ?? fallback;
  if (!words.includes(x as T)) throw fault(json, key, `one of ${words.join(", ")}`);
  return x as T;
}
/** An object; undefined where the field is missing or null. */
export function objectOf(json: ConfigJson, key: string): ConfigJson | undefined {
  const x = json[key] ?? undefined;
  if (x === undefined) return undefined;
  if (typeof x !== "object" || Array.isArray(x)) throw fault(json, key, "an object");
  return x as ConfigJson;
}

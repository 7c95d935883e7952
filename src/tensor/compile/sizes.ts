/** Which sizes of a compiled function's arguments are symbolic, and what calls they serve. */
import { ArgumentError } from "../../core/errors.js";
import { type Dim, variable } from "../../core/expr.js";
import type { Shape } from "../../core/type.js";

/** A symbolic size with the range that it serves. */
export interface Range {
  readonly min: number;
  readonly max: number;
}
/** For each argument and axis: a number, or the name of a symbolic size. */
export interface Sizes {
  readonly axes: readonly (readonly (number | string)[])[];
  readonly ranges: ReadonlyMap<string, Range>;
}
/** Axes that are symbolic from the first call on: for each argument in order, axis numbers, or ranges by axis. */
export type Dynamic = readonly (readonly number[] | Readonly<Record<number, Range>> | null | undefined)[];

const least = 1024;
const roomFor = (size: number): number => Math.max(least, 2 ** Math.ceil(Math.log2(Math.max(1, size) * 16)));

/**
 * Sizes of the first call: literal, but for declared axes. Declared axes of different arguments that have one size and range are one
 * symbolic size, the same axis first; axes of one argument are different sizes, unless `merged` says that equal ones belong together.
 */
export function firstSizes(shapes: readonly (readonly number[])[], dynamic: Dynamic = [], merged: boolean = false): Sizes {
  const ranges = new Map<string, Range>();
  const names = new Map<string, { readonly name: string; readonly axis: number }[]>();
  const axes = shapes.map((shape, i) => {
    const taken = new Set<string>();
    const declared = dynamic[i];
    if (!declared) return [...shape];
    const list: Readonly<Record<number, Range | undefined>> = Array.isArray(declared)
      ? Object.fromEntries((declared as readonly number[]).map((a) => [a < 0 ? a + shape.length : a, undefined]))
      : (declared as Record<number, Range>);
    return shape.map((size, axis) => {
      if (!(axis in list)) return size;
      const range = list[axis] ?? { min: 0, max: roomFor(size) };
      if (size < range.min || size > range.max)
        throw new ArgumentError(
          `compile: axis ${axis} of argument ${i} has size ${size}, outside of its range [${range.min}, ${range.max}]`,
        );
      const key = `${size} ${range.min} ${range.max}`;
      const known = (names.get(key) ?? []).filter((n) => merged || !taken.has(n.name));
      let name = (known.find((n) => n.axis === axis) ?? known[0])?.name;
      if (name === undefined) {
        name = `s${ranges.size}`;
        names.set(key, [...(names.get(key) ?? []), { name, axis }]);
        ranges.set(name, range);
      }
      taken.add(name);
      return name;
    });
  });
  return { axes, ranges };
}
/** Whether a call with these shapes is served: literal sizes are equal, and each symbolic one has one value in its range. */
export function serves(s: Sizes, shapes: readonly (readonly number[])[]): boolean {
  const values = new Map<string, number>();
  return s.axes.every(
    (axes, i) =>
      axes.length === shapes[i]!.length &&
      axes.every((a, k) => {
        const size = shapes[i]![k]!;
        if (typeof a === "number") return a === size;
        const range = s.ranges.get(a)!;
        const known = values.get(a);
        values.set(a, size);
        return (known === undefined || known === size) && size >= range.min && size <= range.max;
      }),
  );
}
/** Sizes that serve both what `s` serves and a new call; what differs becomes symbolic. Undefined where ranks differ. */
export function widened(s: Sizes, shapes: readonly (readonly number[])[]): Sizes | undefined {
  if (s.axes.some((axes, i) => axes.length !== shapes[i]!.length)) return undefined;
  const names = new Map<string, string>();
  const ranges = new Map<string, Range>();
  const axes = s.axes.map((list, i) =>
    list.map((a, k) => {
      const size = shapes[i]![k]!;
      if (a === size) return a;
      const before = typeof a === "string" ? s.ranges.get(a)! : { min: a, max: a };
      const key = `${a} ${size}`;
      let name = names.get(key);
      if (!name) {
        name = `s${ranges.size}`;
        names.set(key, name);
        const inside = typeof a === "string" && size >= before.min && size <= before.max;
        ranges.set(name, inside ? before : { min: 0, max: Math.max(before.max, roomFor(Math.max(size, typeof a === "number" ? a : 0))) });
      }
      return name;
    }),
  );
  return { axes, ranges };
}
/** The shape that is traced for one argument. */
export const tracedShape = (s: Sizes, argument: number): Shape =>
  s.axes[argument]!.map((a): Dim => {
    if (typeof a === "number") return a;
    const { min, max } = s.ranges.get(a)!;
    return variable(a, min, max);
  });
export const isSymbolic = (s: Sizes): boolean => s.ranges.size > 0;
/** Values of the symbolic sizes in a call. */
export function valuesOf(s: Sizes, shapes: readonly (readonly number[])[]): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [i, axes] of s.axes.entries()) for (const [k, a] of axes.entries()) if (typeof a === "string") values[a] = shapes[i]![k]!;
  return values;
}

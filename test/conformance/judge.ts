import { interpret } from "../../src/backends/interp/interpret.js";
import type { NdArray } from "../../src/core/ndarray.js";
import { agrees } from "./agree.js";
import { type Case, valuesOf } from "./cases.js";

/** What the oracle, and the interpreter in the graph's own dtypes, give for a case: computed once, whatever device is judged. */
function references(c: Case): { readonly exact: readonly NdArray[]; readonly own: readonly NdArray[] } {
  let found = known.get(c);
  if (!found) {
    found = { exact: interpret(valuesOf(c), c.feeds, { exact: true }), own: interpret(valuesOf(c), c.feeds) };
    known.set(c, found);
  }
  return found;
}
const known = new WeakMap<Case, ReturnType<typeof references>>();

/** What is wrong with the results of a case. */
export function judge(c: Case, got: readonly NdArray[], ieee: boolean): { wrong: string[]; notCompared: string[] } {
  if (c.special && !ieee) return { wrong: [], notCompared: [`${c.name}: NaN, infinities or signs of zero decide its results`] };
  const { exact, own } = references(c);
  const wrong: string[] = [];
  const notCompared: string[] = [];
  got.forEach((v, i) => {
    const verdict = agrees(v, exact[i]!, own[i]!, ieee);
    const name = got.length > 1 ? `${c.name} result ${i}` : c.name;
    if (verdict.notCompared) notCompared.push(`${name}: ${verdict.why}`);
    else if (!verdict.ok) wrong.push(`${name}: ${verdict.why}`);
  });
  return { wrong, notCompared };
}

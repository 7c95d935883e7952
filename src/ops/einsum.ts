import { ArgumentError, ShapeError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { numel, showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { add, mul } from "./arithmetic.js";
import { cast } from "./cast.js";
import { diagonal } from "./diagonal.js";
import { normalizeDim } from "./dims.js";
import { dot } from "./matmul.js";
import { expand, permute, reshape } from "./movement.js";
import { computesIn } from "./precision.js";
import { resultType } from "./promotion.js";
import { sum } from "./reduce.js";

/** A value whose axes have names; every name occurs once. */
interface Labelled {
  readonly node: Node;
  readonly labels: readonly string[];
}

/** Sums products over named axes (torch.einsum): "bij,bjk->bik", with "..." for broadcast axes, repeated and implicit output names. */
export function einsum(equation: string, ...operands: readonly Node[]): Node {
  const where = `einsum("${equation}"; ${operands.map((x) => showShape(x.type.shape)).join(", ")})`;
  const parts = equation.replaceAll(" ", "").split("->");
  const terms = parts[0]!.split(",");
  if (parts.length > 2 || terms.length !== operands.length)
    throw new ArgumentError(`${where}: the equation names ${terms.length} operands, ${operands.length} were given`);
  const dtype = resultType(...operands);
  const values = operands.map((x) => cast(x, dtype));
  const spread = Math.max(0, ...terms.map((t, i) => (t.includes("...") ? values[i]!.type.shape.length - t.replace("...", "").length : 0)));
  const dots = (count: number): string[] => Array.from({ length: count }, (_, i) => `.${spread - count + i}`);
  const read = (term: string, count: number): string[] => {
    const [before, after, more] = term.split("...");
    if (more !== undefined || /[^A-Za-z]/.test(`${before}${after ?? ""}`))
      throw new ArgumentError(`${where}: "${term}" holds something else than letters and one "..."`);
    return [...before!, ...(after === undefined ? [] : dots(count)), ...(after ?? "")];
  };
  const named = terms.map((t, i) => {
    const rank = values[i]!.type.shape.length;
    const letters = t.replace("...", "").length;
    if (t.includes("...") ? letters > rank : letters !== rank)
      throw new ShapeError(`${where}: "${t}" does not name the ${rank} axes of operand ${i}`);
    return diagonals(values[i]!, read(t, rank - letters), where);
  });

  const sizes = new Map<string, Dim>();
  for (const { node, labels } of named)
    labels.forEach((l, a) => {
      const d = node.type.shape[a]!;
      const known = sizes.get(l);
      if (known === undefined || known === 1) sizes.set(l, d);
      else if (d !== 1 && d !== known) throw new ShapeError(`${where}: axis ${l} has sizes ${showShape([known])} and ${showShape([d])}`);
    });
  const output = parts[1] === undefined ? implicit(terms, dots(spread)) : read(parts[1], spread);
  if (new Set(output).size !== output.length) throw new ArgumentError(`${where}: an output axis is named twice`);
  for (const l of output) if (!sizes.has(l)) throw new ArgumentError(`${where}: output axis ${l} is in no operand`);

  let list = named.map((v) => unbroadcast(v, sizes));
  list = list.map((v, i) => reduceTo(v, (l) => output.includes(l) || list.some((o, j) => j !== i && o.labels.includes(l))));
  let result = list[0]!;
  for (let i = 1; i < list.length; i++) {
    const later = new Set([...output, ...list.slice(i + 1).flatMap((o) => o.labels)]);
    result = contract(result, list[i]!, later);
  }
  result = reduceTo(result, (l) => output.includes(l));
  return permute(
    result.node,
    output.map((l) => result.labels.indexOf(l)),
  );
}

/** Without "->": broadcast axes, then every name that occurs once, in alphabetical order. */
function implicit(terms: readonly string[], dots: readonly string[]): string[] {
  const letters = terms.join("").replaceAll(".", "");
  return [...dots, ...[...letters].filter((l) => letters.indexOf(l) === letters.lastIndexOf(l)).sort()];
}

/** A name that occurs twice in one operand reads its diagonal. */
function diagonals(node: Node, labels: readonly string[], where: string): Labelled {
  const second = labels.findIndex((l, i) => labels.indexOf(l) < i);
  if (second < 0) return { node, labels };
  const first = labels.indexOf(labels[second]!);
  if (node.type.shape[first] !== node.type.shape[second])
    throw new ShapeError(`${where}: axis ${labels[first]} is repeated with different sizes`);
  const rest = labels.filter((_, i) => i !== first && i !== second);
  return diagonals(diagonal(node, 0, first, second), [...rest, labels[first]!], where);
}

/** Axes of size 1 that another operand has at full size vanish here. */
function unbroadcast({ node, labels }: Labelled, sizes: ReadonlyMap<string, Dim>): Labelled {
  const keep = labels.map((l, a) => node.type.shape[a] === sizes.get(l));
  return {
    node: reshape(
      node,
      node.type.shape.filter((_, a) => keep[a]),
    ),
    labels: labels.filter((_, a) => keep[a]),
  };
}

function reduceTo({ node, labels }: Labelled, keep: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((l, a) => (keep(l) ? [] : [a]));
  return { node: axes.length ? sum(node, axes) : node, labels: labels.filter(keep) };
}

/** One pair: shared names that nobody needs later become the inner axis of a dot. */
function contract(a: Labelled, b: Labelled, later: ReadonlySet<string>): Labelled {
  const shared = a.labels.filter((l) => b.labels.includes(l));
  const batch = shared.filter((l) => later.has(l));
  const inner = shared.filter((l) => !later.has(l));
  const left = a.labels.filter((l) => !shared.includes(l));
  const right = b.labels.filter((l) => !shared.includes(l));
  const size = (v: Labelled, ls: readonly string[]): Dim[] => ls.map((l) => v.node.type.shape[v.labels.indexOf(l)]!);
  const order = (v: Labelled, ls: readonly string[]): Node =>
    permute(
      v.node,
      ls.map((l) => v.labels.indexOf(l)),
    );
  const labels = [...batch, ...left, ...right];
  const outer = [...size(a, batch), ...size(a, left), ...size(b, right)];
  if (inner.length === 0) {
    const x = reshape(order(a, [...batch, ...left]), [...size(a, batch), ...size(a, left), ...right.map(() => 1)]);
    const y = reshape(order(b, [...batch, ...right]), [...size(b, batch), ...left.map(() => 1), ...size(b, right)]);
    return { node: mul(expand(x, outer), expand(y, outer)), labels };
  }
  const [m, k, n] = [numel(size(a, left)), numel(size(a, inner)), numel(size(b, right))];
  const x = reshape(order(a, [...batch, ...left, ...inner]), [...size(a, batch), m, k]);
  const y = reshape(order(b, [...batch, ...inner, ...right]), [...size(b, batch), k, n]);
  return { node: reshape(dot(x, y), outer), labels };
}

/** Products summed over axes of both: a number (the last of a with the first of b), or lists of axes (torch.tensordot). */
export function tensordot(a: Node, b: Node, dims: number | readonly [readonly number[], readonly number[]] = 2): Node {
  const [p, q] = [a.type.shape.length, b.type.shape.length];
  if (typeof dims === "number" && !(Number.isInteger(dims) && dims >= 0 && dims <= Math.min(p, q)))
    throw new ArgumentError(`tensordot: ${showShape(a.type.shape)} and ${showShape(b.type.shape)} have not ${dims} axes to sum over`);
  const left =
    typeof dims === "number" ? Array.from({ length: dims }, (_, i) => p - dims + i) : dims[0].map((d) => normalizeDim(d, p, "tensordot"));
  const right = typeof dims === "number" ? left.map((_, i) => i) : dims[1].map((d) => normalizeDim(d, q, "tensordot"));
  if (left.length !== right.length)
    throw new ArgumentError(`tensordot: ${left.length} axes of the first stand against ${right.length} of the second`);
  const name = (i: number): string => String.fromCharCode(i < 26 ? 97 + i : 39 + i);
  const first = Array.from({ length: p }, (_, i) => name(i));
  const second = Array.from({ length: q }, (_, i) => (right.includes(i) ? first[left[right.indexOf(i)]!]! : name(p + i)));
  const kept = [...first.filter((_, i) => !left.includes(i)), ...second.filter((_, i) => !right.includes(i))];
  return einsum(`${first.join("")},${second.join("")}->${kept.join("")}`, a, b);
}

/** a weight bᵀ for each output, plus bias: [..., I], [..., J] and weight [O, I, J] give [..., O] (torch.nn.functional.bilinear). */
export function bilinear(a: Node, b: Node, weight: Node, bias?: Node | null): Node {
  const y = einsum("...i,oij,...j->...o", a, weight, b);
  return bias ? add(y, bias) : y;
}

computesIn("low", einsum, tensordot, bilinear);

/** Byte n-gram models: what a language model must beat to have learnt more than counts. */

/**
 * Nats per byte of `validation` under an order-`n` model counted on `train`, smoothed by Witten and Bell's interpolation: a context
 * seen c times with d different successors gives d / (c + d) of its mass to the context one byte shorter (Witten and Bell 1991).
 */
export function ngramLoss(train: Uint8Array, validation: Uint8Array, n: number): number {
  const counts = Array.from({ length: n }, (_, order) => count(train, order));
  const probability = (order: number, at: number): number => {
    if (order < 0) return 1 / 256;
    const { total, kinds, pairs } = counts[order]!;
    const context = contextAt(validation, at, order);
    const shorter = probability(order - 1, at);
    const c = total.get(context) ?? 0;
    if (c === 0) return shorter;
    const d = kinds.get(context)!;
    return ((pairs.get(context * 256 + validation[at]!) ?? 0) + d * shorter) / (c + d);
  };
  let nats = 0;
  for (let at = n - 1; at < validation.length; at++) nats -= Math.log(probability(n - 1, at));
  return nats / (validation.length - n + 1);
}

interface Counts {
  readonly total: Map<number, number>;
  readonly kinds: Map<number, number>;
  readonly pairs: Map<number, number>;
}
/** How often each byte follows each context of `order` bytes. */
function count(text: Uint8Array, order: number): Counts {
  const counts: Counts = { total: new Map(), kinds: new Map(), pairs: new Map() };
  const bump = (m: Map<number, number>, key: number): number => {
    const c = (m.get(key) ?? 0) + 1;
    m.set(key, c);
    return c;
  };
  for (let at = order; at < text.length; at++) {
    const context = contextAt(text, at, order);
    bump(counts.total, context);
    if (bump(counts.pairs, context * 256 + text[at]!) === 1) bump(counts.kinds, context);
  }
  return counts;
}
function contextAt(text: Uint8Array, at: number, order: number): number {
  let context = 0;
  for (let i = at - order; i < at; i++) context = context * 256 + text[i]!;
  return context;
}

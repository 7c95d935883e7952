/**
 * Which recorded nodes carry gradients. A leaf that requires gradients is read through a `tracked` node, so derivatives have an
 * identity to stop at; a value that must not pass gradients on is read through an `untracked` one. Both vanish before compiling.
 */
import { isFloat } from "../core/dtype.js";
import { slot } from "../core/slot.js";
import { make, type Node, type Op, op } from "../ir/node.js";

type None = Record<string, never>;

/** A leaf's value as gradients see it. */
const trackedOp: Op<[Node], None> = op({
  name: "tracked",
  kind: "movement",
  infer: ([x]) => x,
  vjp: (ct) => [ct],
  reference: ([x]) => x,
  source: (index) => [{ input: 0, index }],
});
/** The same value, with no gradient (torch.Tensor.detach). */
const untrackedOp: Op<[Node], None> = op<[Node], None>({
  name: "untracked",
  kind: "movement",
  infer: ([x]) => x,
  vjp: () => [null],
  reference: ([x]) => x,
  source: (index) => [{ input: 0, index }],
});

const carriers = slot<Node, true>();
/** Whether gradients flow from this node to a leaf. */
export const carries = (n: Node): boolean => carriers.get(n) === true;
/** Marks the result of a recorded call. */
export function markCarrier(n: Node): void {
  if (isFloat(n.type.dtype)) carriers.set(n, true);
}

const stopped = new WeakMap<Node, Node>();
/** The node, cut off from the gradients that it carries. */
export function untracked(n: Node): Node {
  if (!carries(n)) return n;
  let s = stopped.get(n);
  if (!s) stopped.set(n, (s = make(untrackedOp, [n], {})));
  return s;
}
/** A fresh identity for gradients with respect to this value. */
export function tracked(n: Node): Node {
  const t = make(trackedOp, [n], {});
  carriers.set(t, true);
  return t;
}
/** True for the two ops that only gradients see. */
export const isTracking = (n: Node): boolean => (n.op as unknown) === trackedOp || (n.op as unknown) === untrackedOp;

const released = slot<Node, true>();
/** Marks a value whose history was given up after `backward`. */
export function markReleased(n: Node): void {
  released.set(n, true);
  carriers.set(n, true);
}
export const isReleased = (n: Node): boolean => released.get(n) === true;

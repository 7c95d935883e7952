/** Gradients: recorded as ordinary nodes when `backward` is called, and run when something needs them. */
import { grad as gradNodes, vjp } from "../autodiff/grad.js";
import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { sameShape, showShape, showType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { add } from "../ops/elementwise.js";
import { full } from "../ops/source.js";
import { zerosLike } from "./create.js";
import { mode, scoped } from "./mode.js";
import { noteFinished } from "./pending.js";
import { newTensor } from "./record.js";
import { leafOf, Tensor } from "./tensor.js";
import { carries, isReleased, markCarrier, untracked } from "./track.js";

/** Options of `backward`. */
export interface BackwardOptions {
  /** Gradient of what this tensor leads to; needed where it has more than one element. */
  readonly gradient?: Tensor;
  /** Keep how the value was computed beyond the next optimizer step. */
  readonly retainGraph?: boolean;
  /** Record the gradients so that they can be differentiated again. */
  readonly createGraph?: boolean;
}

/** Adds gradients of `t` to the `grad` of every leaf that it came from. */
export function backward(t: Tensor, options: BackwardOptions = {}): void {
  const root = t.read(true);
  if (!carries(root)) throw new ArgumentError("backward: this tensor does not depend on any tensor that requires gradients");
  const seed = seedOf("backward", root, options.gradient);
  const { wrt, owners } = leavesBehind(root);
  const found = vjp([root], [seed], wrt);
  found.forEach((g, i) => {
    if (!g) return;
    const leaf = owners[i]!;
    const before = leaf.grad;
    const value = options.createGraph ? g : untrackedAlways(g);
    const old = before && (options.createGraph ? before.read(true) : before.read(false));
    const sum = old ? add(old, value) : value;
    if (options.createGraph) markCarrier(sum);
    leaf.grad = newTensor(sum, leaf.cell.device);
  });
  mode.trace?.backward();
  if (!options.retainGraph && !options.createGraph && !mode.trace) noteFinished(t.cell);
}

function seedOf(name: string, root: Node, gradient: Tensor | undefined): Node {
  if (gradient) {
    if (!sameShape(gradient.shape, root.type.shape))
      throw new ShapeError(`${name}: a gradient of shape ${showShape(gradient.shape)} for a value of shape ${showShape(root.type.shape)}`);
    if (gradient.dtype !== root.type.dtype)
      throw new DTypeError(`${name}: a gradient of ${gradient.dtype} for a value of ${root.type.dtype}`);
    return gradient.read(false);
  }
  if (!isFloat(root.type.dtype)) throw new DTypeError(`${name}: only floats have gradients, not ${showType(root.type)}`);
  if (root.type.shape.some((d) => d !== 1))
    throw new ShapeError(`${name}: ${showType(root.type)} has more than one element; reduce it, or pass { gradient }`);
  return full(root.type.shape, 1, root.type.dtype);
}

/** Tracked nodes that a value came from, with the leaf tensors that they are values of. */
function leavesBehind(root: Node): { wrt: Node[]; owners: Tensor[] } {
  const wrt: Node[] = [];
  const owners: Tensor[] = [];
  const seen = new Set<Node>([root]);
  const stack: Node[] = [root];
  while (stack.length) {
    const n = stack.pop()!;
    if (isReleased(n))
      throw new ArgumentError(
        "backward: how this value was computed was let go after an earlier backward() and optimizer step; pass { retainGraph: true } there",
      );
    const leaf = leafOf(n);
    if (leaf && (leaf.retainsGrad || n.op.name === "tracked")) {
      wrt.push(n);
      owners.push(leaf);
      if (!leaf.retainsGrad) continue;
    }
    for (const x of n.inputs)
      if (!seen.has(x)) {
        seen.add(x);
        stack.push(x);
      }
  }
  return { wrt, owners };
}
/** A gradient's nodes read tracked values, but the gradient itself passes none on. */
function untrackedAlways(g: Node): Node {
  markCarrier(g);
  return untracked(g);
}

/** Gradients of a scalar with respect to tensors, without touching `grad` (torch.autograd.grad). */
export function gradients(
  loss: Tensor,
  wrt: readonly Tensor[],
  options: { readonly gradient?: Tensor; readonly createGraph?: boolean } = {},
): Tensor[] {
  const root = loss.read(true);
  const nodes = wrt.map((t) => t.read(true));
  const seed = seedOf("gradients", root, options.gradient);
  const found = vjp([root], [seed], nodes);
  return found.map((g, i) => {
    if (!g) return zerosLike(wrt[i]!);
    if (options.createGraph) markCarrier(g);
    return newTensor(options.createGraph ? g : untrackedAlways(g));
  });
}

type AnyFunction = (...args: never[]) => Tensor;
/** Which positional arguments to differentiate with respect to. */
export interface GradOptions {
  readonly argnums?: number | readonly number[];
}

/** The function that gives value and gradients of `f` with respect to its first argument, or to `argnums` (jax.value_and_grad). */
export function valueAndGrad<F extends AnyFunction>(
  f: F,
  options?: { readonly argnums?: number },
): (...args: Parameters<F>) => { value: Tensor; grad: Tensor };
export function valueAndGrad<F extends AnyFunction>(
  f: F,
  options: { readonly argnums: readonly number[] },
): (...args: Parameters<F>) => { value: Tensor; grad: Tensor[] };
export function valueAndGrad(f: AnyFunction, options: GradOptions = {}): (...args: never[]) => { value: Tensor; grad: Tensor | Tensor[] } {
  const wanted = options.argnums ?? 0;
  const positions = typeof wanted === "number" ? [wanted] : wanted;
  return (...args: never[]) => {
    const inner: unknown[] = [...args];
    const at = positions.map((p) => {
      const x: unknown = args[p];
      if (!(x instanceof Tensor)) throw new ArgumentError(`grad: argument ${p} is not a tensor`);
      const own = newTensor(x.read());
      const variable = own.detach().requiresGrad_();
      inner[p] = mode.grad && carries(x.read()) ? own : variable;
      return inner[p] as Tensor;
    });
    const nodes = scoped("grad", { grad: true }, () => {
      const value = f(...(inner as never[]));
      if (!(value instanceof Tensor)) throw new ArgumentError("grad: the function must give a tensor");
      const root = value.read(true);
      return {
        value,
        found: gradNodes(
          root,
          at.map((t) => t.read(true)),
        ),
      };
    });
    const outer = at.some((t) => !t.isLeaf);
    const grads = nodes.found.map((g) => {
      if (outer) markCarrier(g);
      return newTensor(outer ? g : untrackedAlways(g));
    });
    return { value: outer ? nodes.value : newTensor(nodes.value.read(false)), grad: typeof wanted === "number" ? grads[0]! : grads };
  };
}
/** The function that gives gradients of `f` with respect to its first argument, or to `argnums` (jax.grad). */
export function grad<F extends AnyFunction>(f: F, options?: { readonly argnums?: number }): (...args: Parameters<F>) => Tensor;
export function grad<F extends AnyFunction>(f: F, options: { readonly argnums: readonly number[] }): (...args: Parameters<F>) => Tensor[];
export function grad(f: AnyFunction, options: GradOptions = {}): (...args: never[]) => Tensor | Tensor[] {
  const both = valueAndGrad(f, options as { argnums: number });
  return (...args: never[]) => both(...(args as Parameters<AnyFunction>)).grad;
}

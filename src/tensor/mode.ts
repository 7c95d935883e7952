/** What recording depends on besides its arguments: gradient mode, device, and the trace that is running. */
import { ArgumentError } from "../core/errors.js";
import type { Node } from "../ir/node.js";
import type { Cell } from "./cell.js";
import type { Tensor } from "./tensor.js";

/** What a trace of `compile` takes over while it records. */
export interface Recorder {
  /** The value of a cell at this point of the trace; a cell from outside becomes captured state. */
  read(cell: Cell): Node;
  write(cell: Cell, value: Node): void;
  /** A cell that the trace made. */
  own(cell: Cell): void;
  /** Numbers that are asked for anew at every call: which host value of the trace they are. */
  hostValue(
    read: () => readonly (number | bigint)[],
    count: number,
  ): { readonly values: readonly (number | bigint)[]; readonly slot: number };
  /** Something to do on the host at every call, in order with `hostValue`. */
  hostEffect(run: () => void): void;
  /** A plain value that the trace depends on: the trace holds only while it stays the same. */
  guard(read: () => unknown): void;
  /** Notes a tensor from outside: that it requires gradients, or does not, is part of what the trace rests on. */
  handle(t: Tensor): void;
  /** Notes that `backward` ran: how its loss was computed is used up. */
  backward(): void;
  /** The gradient of a leaf at this point of the trace. */
  readGrad(leaf: Tensor, outside: Tensor | null): Tensor | null;
  writeGrad(leaf: Tensor, grad: Tensor | null): void;
  /** Refuses to read a value, naming the caller's line. */
  refuse(what: string): never;
}

interface Mode {
  grad: boolean;
  /** Name of a device, or "" for the default one. */
  device: string;
  trace: Recorder | undefined;
  /** The dtype of products inside `autocast`. */
  autocast: "bf16" | "f16" | undefined;
  /** False while an optimizer reads values that nobody else will read at this version. */
  pins: boolean;
}
/** The current mode. Only `scoped` changes it. */
export const mode: Mode = { grad: true, device: "", trace: undefined, autocast: undefined, pins: true };

/** Runs a synchronous function under a changed mode. */
export function scoped<T>(name: string, change: Partial<Mode>, fn: () => T): T {
  const before = { ...mode };
  Object.assign(mode, change);
  try {
    return mustBeSynchronous(name, fn());
  } finally {
    Object.assign(mode, before);
  }
}

/** Throws when a callback turns out to be async: its later half would run outside of what surrounds it. */
export function mustBeSynchronous<T>(name: string, result: T): T {
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new ArgumentError(
      `${name}: the function is async, and what follows its first await would run outside ${name}; await before or after instead`,
    );
  }
  return result;
}

/** Runs `fn` without recording gradients (torch.no_grad). */
export const noGrad = <T>(fn: () => T): T => scoped("noGrad", { grad: false }, fn);
/** Runs `fn` with gradients recorded, inside a `noGrad` (torch.enable_grad). */
export const enableGrad = <T>(fn: () => T): T => scoped("enableGrad", { grad: true }, fn);
/** Whether operations on tensors that require gradients are recorded for them. */
export const isGradEnabled = (): boolean => mode.grad;

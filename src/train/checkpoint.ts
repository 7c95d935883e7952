/** Checkpoints: parameters, optimizer and progress in one safetensors file, replaced whole or not at all. */
import { FormatError } from "../core/errors.js";
import type { Module } from "../nn/index.js";
import type { OptimizerState } from "../optim/index.js";
import type { FileCalls } from "../runtime/file.js";
import { openSafetensors, type StoredTensor, writeSafetensors } from "../runtime/safetensors.js";
import { HostTensor } from "../runtime/tensor.js";
import { fromBytes, type Tensor } from "../tensor/index.js";

/** What a checkpoint needs of an optimizer. */
interface Stateful {
  stateDict(): OptimizerState;
  loadStateDict(dict: OptimizerState): void;
}

/** What goes on where it stopped. `progress` is plain JSON of the trainer's own. */
export interface Checkpoint {
  readonly model: Module;
  readonly optimizer: Stateful;
  readonly progress: unknown;
}

const toHost = async (t: Tensor): Promise<HostTensor> => new HostTensor(t.dtype, t.shape, await t.bytes());

/** Writes `file`; if that fails, what was there stays. */
export async function saveCheckpoint(file: string, { model, optimizer, progress }: Checkpoint, calls?: FileCalls): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const [key, t] of Object.entries(model.stateDict())) tensors.set(`model.${key}`, await toHost(t));
  const { state, paramGroups } = optimizer.stateDict();
  const steps: Record<string, number> = {};
  for (const [id, entries] of Object.entries(state))
    for (const [name, value] of Object.entries(entries)) {
      if (typeof value === "number") steps[id] = value;
      else tensors.set(`optimizer.${id}.${name}`, await toHost(value));
    }
  const metadata = { format: "treepie-checkpoint", progress: JSON.stringify(progress), optimizer: JSON.stringify({ paramGroups, steps }) };
  writeSafetensors(file, tensors, { metadata, ...(calls && { calls }) });
}

/** A checkpoint that was read; nothing is changed before `restore`. */
export interface SavedCheckpoint {
  readonly progress: unknown;
  /** Puts parameters and optimizer state where they were, bit for bit. */
  restore(model: Module, optimizer?: Stateful): void;
  close(): void;
}

/** Reads and checks a checkpoint. */
export function openCheckpoint(path: string): SavedCheckpoint {
  const file = openSafetensors(path);
  const { format, progress, optimizer } = file.metadata;
  if (format !== "treepie-checkpoint" || progress === undefined || optimizer === undefined)
    throw new FormatError(`${path} is a safetensors file, but not a checkpoint: saveCheckpoint and \`treepie train\` write those`);
  const saved = parsed(path, optimizer) as { paramGroups: OptimizerState["paramGroups"]; steps: Record<string, number> };
  const load = (t: StoredTensor): Tensor => {
    const host = file.read(t.name);
    return fromBytes(host.bytes, host.shape, { dtype: host.dtype });
  };
  return {
    progress: parsed(path, progress),
    restore(model, into) {
      const weights: Record<string, Tensor> = {};
      const state: Record<number, { step: number } & Record<string, Tensor | number>> = {};
      for (const [id, step] of Object.entries(saved.steps)) state[Number(id)] = { step };
      for (const t of file.tensors.values()) {
        const part = /^(?:model\.(.+)|optimizer\.(\d+)\.(.+))$/.exec(t.name);
        if (!part) throw new FormatError(`${path} holds ${t.name}, which is no part of a checkpoint`);
        if (part[1] !== undefined) weights[part[1]] = load(t);
        else if (into) {
          const entry = state[Number(part[2])];
          if (!entry) throw new FormatError(`${path} holds ${t.name}, but no step count for it`);
          entry[part[3]!] = load(t);
        }
      }
      model.loadStateDict(weights);
      into?.loadStateDict({ state, paramGroups: saved.paramGroups });
    },
    close: () => file.close(),
  };
}
function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${path}: its metadata is not JSON`, { cause });
  }
}

/** What optimizers share: parameter groups, state, and a step that is recorded and submitted without waiting. */
import { ArgumentError } from "../core/errors.js";
import { hostEffect, hostNumber, noGrad, Tensor } from "../tensor/index.js";
import { traceGuard } from "../tensor/record.js";
import { lasting, outsideTrace, submitStep, withoutPins } from "../tensor/step.js";

/** Settings that a group may have for itself; numbers may change at any time without a recompilation. */
export type Settings = { lr: number } & Record<string, number | boolean | readonly number[] | undefined>;
/** Parameters with settings of their own. */
export type Group<S extends Settings> = { params: Tensor[] } & S;
/** What an optimizer takes: parameters, or groups of them. */
export type Params<S extends Settings> = Iterable<Tensor> | readonly ({ readonly params: Iterable<Tensor> } & Partial<S>)[];

/** State of one parameter: tensors, and how often it was stepped. */
export interface ParamState {
  step: number;
  readonly tensors: Record<string, Tensor>;
}
/** A saved optimizer: PyTorch's layout, parameters by number. */
export interface OptimizerState {
  readonly state: Readonly<Record<number, { readonly step: number } & Readonly<Record<string, Tensor | number>>>>;
  readonly paramGroups: readonly ({ readonly params: readonly number[] } & Readonly<Record<string, unknown>>)[];
}

/** Base of all optimizers (torch.optim.Optimizer). */
export abstract class Optimizer<S extends Settings = Settings> {
  readonly paramGroups: Group<S>[] = [];
  readonly state: Map<Tensor, ParamState> = new Map();
  private readonly defaults: S;
  /** Numbers of the step that is being recorded. */
  private numbers: Map<string, Tensor> = new Map();

  constructor(params: Params<S>, defaults: S) {
    this.defaults = defaults;
    const list = [...(params as Iterable<unknown>)];
    if (list.length === 0) throw new ArgumentError(`${this.constructor.name}: there are no parameters to train`);
    if (list[0] instanceof Tensor) this.addParamGroup({ params: list as Tensor[] } as { params: Tensor[] } & Partial<S>);
    else for (const g of list) this.addParamGroup(g as { params: Iterable<Tensor> } & Partial<S>);
  }
  /** Adds parameters with settings of their own. */
  addParamGroup(group: { readonly params: Iterable<Tensor> } & Partial<S>): void {
    const params = [...group.params];
    const taken = new Set(this.paramGroups.flatMap((g) => g.params));
    for (const p of params) {
      if (!p.requiresGrad || !p.isLeaf)
        throw new ArgumentError(`${this.constructor.name}: only leaves that require gradients can be trained`);
      if (taken.has(p)) throw new ArgumentError(`${this.constructor.name}: a parameter is in two groups`);
      taken.add(p);
    }
    this.paramGroups.push({ ...this.defaults, ...group, params });
  }

  /** The new values of one parameter and its state, as recorded operations. `number` gives numbers that each call asks for anew. */
  protected abstract update(p: Tensor, grad: Tensor, group: Group<S>, state: ParamState): void;

  /** Changes every parameter that has a gradient. Recorded and submitted; nothing waits. */
  step(): void {
    const changed: Tensor[] = [];
    const stepped: ParamState[] = [];
    this.numbers = new Map();
    noGrad(() =>
      withoutPins(() => {
        for (const group of this.paramGroups) {
          for (const p of group.params) {
            traceGuard(() => p.requiresGrad);
            const g = p.grad;
            if (!g) continue;
            const state = this.stateOf(p);
            hostEffect(() => {
              state.step++;
            });
            this.update(p, g, group, state);
            stepped.push(state);
            changed.push(p, ...Object.values(state.tensors));
          }
        }
      }),
    );
    this.numbers.clear();
    const states = new Set(stepped);
    traceGuard(() => this.lag(states));
    submitStep(changed);
  }
  /** By how many steps parameters differ from the first one: what they may share rests on it. Other states than these are named, too. */
  private lag(states: ReadonlySet<ParamState>): string {
    let first: number | undefined;
    let differences = "";
    let known = 0;
    for (const { params } of this.paramGroups)
      for (let i = 0; i < params.length; i++) {
        const state = this.state.get(params[i]!);
        if (state && states.has(state)) known++;
        const step = state?.step ?? 0;
        first ??= step;
        if (step !== first) differences += ` ${i}:${step - first}`;
      }
    return known === states.size ? differences : "other states";
  }
  private stateOf(p: Tensor): ParamState {
    let s = this.state.get(p);
    if (!s) this.state.set(p, (s = { step: 0, tensors: {} }));
    return s;
  }
  /** A state tensor, made when it is first needed. */
  protected tensorOf(state: ParamState, name: string, make: () => Tensor): Tensor {
    state.tensors[name] ??= outsideTrace(() => lasting(make()));
    return state.tensors[name];
  }
  /**
   * A number that a compiled step asks for anew at each call, in the parameter's dtype, or f32 for half floats. Parameters of a group
   * that were stepped equally often share it.
   */
  protected number(p: Tensor, group: Group<S>, state: ParamState, name: string, read: () => number): Tensor {
    const dtype = p.dtype === "f64" ? "f64" : "f32";
    const key = `${this.paramGroups.indexOf(group)} ${state.step} ${dtype} ${name}`;
    let n = this.numbers.get(key);
    if (!n) this.numbers.set(key, (n = hostNumber(read, dtype)));
    return n;
  }
  /** Forgets all gradients. At the end of a compiled step, that keeps them from being stored: nobody can read them any more. */
  zeroGrad(): void {
    for (const g of this.paramGroups) for (const p of g.params) p.grad = null;
  }

  /** State and settings, with the tensors' current values. */
  stateDict(): OptimizerState {
    const ids = new Map(this.paramGroups.flatMap((g) => g.params).map((p, i) => [p, i]));
    const state: Record<number, { step: number } & Record<string, Tensor | number>> = {};
    for (const [p, s] of this.state)
      state[ids.get(p)!] = { step: s.step, ...Object.fromEntries(Object.entries(s.tensors).map(([k, t]) => [k, t.clone()])) };
    return { state, paramGroups: this.paramGroups.map((g) => ({ ...g, params: g.params.map((p) => ids.get(p)!) })) };
  }
  /** Takes state and settings, so that training goes on bit for bit. */
  loadStateDict(dict: OptimizerState): void {
    const sizes = (groups: readonly { readonly params: readonly unknown[] }[]): string => groups.map((g) => g.params.length).join(", ");
    if (sizes(dict.paramGroups) !== sizes(this.paramGroups))
      throw new ArgumentError(
        `loadStateDict: the saved optimizer has groups of ${sizes(dict.paramGroups)} parameters, this one of ${sizes(this.paramGroups)}`,
      );
    const params = this.paramGroups.flatMap((g) => g.params);
    const byId = new Map(dict.paramGroups.flatMap((g) => g.params).map((id, i) => [id, params[i]!]));
    dict.paramGroups.forEach((g, i) => {
      const { params: _, ...settings } = g;
      Object.assign(this.paramGroups[i]!, settings);
    });
    const before = new Map(this.state);
    this.state.clear();
    for (const [id, saved] of Object.entries(dict.state)) {
      const p = byId.get(Number(id));
      if (!p) throw new ArgumentError(`loadStateDict: state of parameter ${id}, which no group has`);
      const tensors = Object.fromEntries(Object.entries(saved).filter((e): e is [string, Tensor] => e[1] instanceof Tensor));
      this.state.set(p, taken(before.get(p), Number(saved.step), tensors));
    }
  }
}

/** State with other values, in the tensors that it has, if it has such: what was compiled for them goes on with them. */
function taken(known: ParamState | undefined, step: number, values: Readonly<Record<string, Tensor>>): ParamState {
  const entries = Object.entries(values);
  const fits = ([k, v]: readonly [string, Tensor]): boolean => {
    const t = known?.tensors[k];
    return t !== undefined && t.dtype === v.dtype && String(t.shape) === String(v.shape);
  };
  if (!known || Object.keys(known.tensors).length !== entries.length || !entries.every(fits))
    return { step, tensors: Object.fromEntries(entries.map(([k, v]) => [k, v.clone()])) };
  noGrad(() => {
    for (const [k, v] of entries) known.tensors[k]!.copy_(v);
  });
  known.step = step;
  return known;
}

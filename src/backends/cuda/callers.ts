/** Libraries that may compute steps of a program: what was chosen for each step, as calls. */
import { type Choice, Choices, type Chosen, type Library } from "../../runtime/choices.js";
import type { Sizes } from "../../runtime/encode.js";
import type { Program } from "../../runtime/program.js";
import type { LibraryCall } from "./launch.js";

/** A library with its choices for one program. */
export interface Caller {
  /** Kernels of nothing but steps that the library may compute, and whether any of them is needed all the same. */
  readonly spare: { readonly kernels: ReadonlySet<number>; readonly needed: boolean };
  /** Measures what is not known yet; `bench` makes steps ready to be timed, by their kernels and by a call. */
  measure(bench: (steps: readonly number[]) => { by(call: LibraryCall | undefined): number; close(): void }): void;
  /** The library's call for a step at these sizes, or undefined where kernels run. */
  choose(step: number, sizes: Sizes): LibraryCall | undefined;
}

/** `found` has what other programs of the device found out; `callOf` makes a call of what was chosen for a step. */
export function callerOf<C, W>(
  program: Program,
  library: Library<C, W>,
  found: Map<string, Choice<W>>,
  callOf: (step: number, chosen: Chosen<C, W>) => LibraryCall,
): Caller {
  const choices = new Choices(program, library, found);
  return {
    get spare() {
      return choices.spare;
    },
    measure: (bench) =>
      choices.measure((step) => {
        const { by, close } = bench(choices.steps(step));
        return { by: (chosen) => by(chosen && callOf(step, chosen)), close };
      }),
    choose(step, sizes) {
      const chosen = choices.choose(step, sizes);
      return chosen && callOf(step, chosen);
    },
  };
}

/** Modules that are made to be filled from a checkpoint. */
let depth = 0;

/** True inside of `blank`. */
export const isBlank = (): boolean => depth > 0;

/** Makes modules whose parameters take no memory and no time yet: initialisers do nothing. Their values are to be given at once. */
export function blank<T>(make: () => T): T {
  depth++;
  try {
    return make();
  } finally {
    depth--;
  }
}

/**
 * Waiting for Dawn without a core. Its binding for Node asks for events in every turn of the event loop while anything is under way; a
 * software driver computes on the same cores, and a pipeline takes it a second.
 */
const often = 50;
/** A function of native code, as the binding's are. */
const isNative = (f: unknown): boolean => /\[native code\]\s*\}$/.test(Function.prototype.toString.call(f));

/** From now on the binding asks as often as it likes for `often` turns of one wait, then once a millisecond. */
export function waitWithoutSpinning(): void {
  const immediate = globalThis.setImmediate;
  if (immediate.name === paced.name) return;
  let turns = 0;
  let asking = false;
  function paced(f: (...args: unknown[]) => void, ...args: unknown[]): unknown {
    if (!isNative(f)) return immediate(f, ...args);
    // A wait that goes on is asked for by the turn before.
    turns = asking ? turns + 1 : 0;
    const ask = (): void => {
      asking = true;
      try {
        f(...args);
      } finally {
        asking = false;
      }
    };
    return turns < often ? immediate(ask) : setTimeout(ask, 1);
  }
  globalThis.setImmediate = Object.assign(paced, immediate) as unknown as typeof setImmediate;
}

/**
 * What signals do while NVRTC is in the process. Its compiler takes SIGINT and SIGTERM for the time of a compilation and then puts back
 * the handlers that it found, but without their flags. Node's own handler raises the signal anew and counts on `SA_RESETHAND` to end
 * there: without the flag it calls itself for good, and Ctrl-C makes a process spin instead of ending it.
 */
import { ffi } from "../../runtime/ffi.js";

/** SIGHUP, SIGINT, SIGQUIT and SIGTERM, by their numbers on Linux. */
const numbers = [1, 2, 3, 15] as const;
/** A `struct sigaction` of glibc and musl: the handler, 128 bytes of mask, and the flags; more bytes than any of them has. */
const size = 256;
const flagsAt = 136;

/** Notes how signals are handled. The function that it gives puts the flags back where the handlers are the same and the flags are not. */
export function signalsAsTheyAre(): () => void {
  const sigaction = ffi().load(null).func("sigaction", "i32", ["i32", "pointer", "pointer"]);
  const look = (signal: number): DataView => {
    const action = new DataView(new ArrayBuffer(size));
    sigaction(signal, 0, action);
    return action;
  };
  const before = numbers.map((signal) => [signal, look(signal)] as const);
  return () => {
    for (const [signal, was] of before) {
      const is = look(signal);
      const same = is.getBigUint64(0, true) === was.getBigUint64(0, true);
      if (same && is.getUint32(flagsAt, true) !== was.getUint32(flagsAt, true)) sigaction(signal, was, 0);
    }
  };
}

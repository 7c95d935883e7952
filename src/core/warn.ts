import { tell } from "./host.js";

const said = new Set<string>();

/** Tells the user something once per process, on standard error or in the console. */
export function warnOnce(message: string): void {
  if (said.has(message)) return;
  said.add(message);
  tell(`treepie: ${message}`);
}

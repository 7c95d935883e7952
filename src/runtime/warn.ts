const said = new Set<string>();

/** Tells the user something once per process, on standard error. */
export function warnOnce(message: string): void {
  if (said.has(message)) return;
  said.add(message);
  process.stderr.write(`treepie: ${message}\n`);
}

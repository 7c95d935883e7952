/** Text that a kernel's text needs before it: the parts of a table that it names, and what those name. */

/** Parts by the name that uses them, in an order where users come after what they use. */
export type Parts = ReadonlyMap<string, string>;

/** The parts that `text` needs, directly or not, in the table's order. */
export function partsFor(parts: Parts, text: string): string[] {
  const needed = new Set<string>();
  const visit = (source: string): void => {
    for (const [word] of source.matchAll(/[A-Za-z_]\w*/g)) {
      const part = parts.get(word);
      if (part === undefined || needed.has(word)) continue;
      needed.add(word);
      visit(part);
    }
  };
  visit(text);
  return [...parts].filter(([name]) => needed.has(name)).map(([, part]) => part);
}

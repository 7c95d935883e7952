/**
 * Who stands on what: a compiled function finds its tensors' values once, and looks for them again only after one of them has changed.
 * Tensors, cells and storages that somebody stands on are marked as watched, and tell of each change.
 */
export interface Watcher {
  /** Something that is watched has changed. Called once for each time that the watcher was added. */
  forget(): void;
}

/** Watched values keep nobody alive that stands on them. */
const watchers = new Set<WeakRef<Watcher>>();

/** Has a watcher told of the next change. */
export function tellOnce(watcher: WeakRef<Watcher>): void {
  watchers.add(watcher);
}
/** Something that is watched changes. */
export function changed(): void {
  if (watchers.size === 0) return;
  const told = [...watchers];
  watchers.clear();
  for (const w of told) w.deref()?.forget();
}

/**
 * Fields of modules, as traces see them. When a function is traced, fields of all modules become accessors, so a trace knows exactly
 * which it has read, and with what values, and is told when one of them is set.
 */
import { changed } from "./watch.js";

const known = new Set<WeakRef<object>>();
const forget = new FinalizationRegistry<WeakRef<object>>((ref) => void known.delete(ref));

/** Makes an object's fields visible to traces. */
export function noteModule(m: object): void {
  const ref = new WeakRef(m);
  known.add(ref);
  forget.register(m, ref);
}

/** Every module that is alive. */
export function* knownModules(): Generator<object> {
  for (const ref of known) {
    const m = ref.deref();
    if (m) yield m;
  }
}

/** Told about each field that is read, and each object whose fields are listed. */
export interface FieldWatcher {
  read(owner: object, field: string, value: unknown): void;
  write(owner: object, field: string): void;
  list(owner: object, fields: readonly string[]): void;
}
let watcher: FieldWatcher | undefined;
let quiet = 0;

/** An object's own enumerable fields, in order; noted by a running trace. */
export function fieldsOf(m: object): [string, unknown][] {
  const fields = Object.keys(m);
  if (watcher && !quiet) watcher.list(m, fields);
  return fields.map((f) => [f, (m as Record<string, unknown>)[f]]);
}
/** Runs `fn` without telling the running trace what it reads. */
export function quietly<T>(fn: () => T): T {
  quiet++;
  try {
    return fn();
  } finally {
    quiet--;
  }
}

/** Runs `fn` with every known object's fields watched. */
export function watching<T>(w: FieldWatcher, fn: () => T): T {
  for (const m of knownModules()) watch(m);
  const before = watcher;
  watcher = w;
  try {
    return fn();
  } finally {
    watcher = before;
  }
}
/** Makes accessors of an object's fields, for good: a field that a trace has read tells when it is set. */
function watch(m: object): void {
  for (const field of Object.keys(m)) {
    const d = Object.getOwnPropertyDescriptor(m, field)!;
    if (!d.configurable || d.get) continue;
    let value: unknown = d.value;
    let stoodOn = false;
    Object.defineProperty(m, field, {
      // Deleted or defined anew, it would tell nobody.
      configurable: false,
      enumerable: true,
      get() {
        if (watcher && !quiet) {
          stoodOn = true;
          watcher.read(m, field, value);
        }
        return value;
      },
      set(v: unknown) {
        if (watcher && !quiet) watcher.write(m, field);
        const other = !Object.is(v, value);
        value = v;
        if (other && stoodOn) changed();
      },
    });
  }
}

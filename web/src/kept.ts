/**
 * Models that a person chose, copied to the origin-private file system for the next visit: a folder for each, in which `kept.json` is
 * written last. A lock keeps other tabs from forgetting what is open, and from writing what is being written.
 */
import { hashOf } from "#treepie/runtime/sha256.js";
import { PageError } from "./failures.js";
import type { KeptModel } from "./protocol.js";

const root = "treepie-models";
const sheetName = "kept.json";
interface Sheet {
  readonly name: string;
  readonly bytes: number;
  readonly files: readonly string[];
}
/** Files of a kept model, which are there until `release`. */
export interface Held {
  readonly name: string;
  readonly files: readonly File[];
  release(): void;
}

/** Undefined in pages that are not secure, and in browsers without such files. */
async function folder(): Promise<FileSystemDirectoryHandle | undefined> {
  if (!navigator.storage?.getDirectory || !navigator.locks) return undefined;
  return (await navigator.storage.getDirectory()).getDirectoryHandle(root, { create: true });
}
const lockOf = (id: string): string => `${root}/${id}`;
const bytesOf = (files: readonly File[]): number => files.reduce((sum, f) => sum + f.size, 0);

async function sheetOf(id: string): Promise<Sheet | undefined> {
  try {
    const own = await (await folder())?.getDirectoryHandle(id);
    const sheet = JSON.parse(await (await (await own!.getFileHandle(sheetName)).getFile()).text()) as Sheet;
    return typeof sheet.name === "string" && Number.isSafeInteger(sheet.bytes) && Array.isArray(sheet.files) ? sheet : undefined;
  } catch {
    return undefined;
  }
}

/** Everything that is kept. What a closed tab left half written goes. */
export async function listKept(): Promise<readonly KeptModel[]> {
  const all = await folder();
  const models: KeptModel[] = [];
  for await (const id of all?.keys() ?? []) {
    const sheet = await sheetOf(id);
    if (sheet) models.push({ id, name: sheet.name, bytes: sheet.bytes });
    else
      await navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
        if (lock && !(await sheetOf(id))) await all!.removeEntry(id, { recursive: true }).catch(() => {});
      });
  }
  return models.sort((a, b) => a.name.localeCompare(b.name));
}

/** Copies files; gives a sentence where they cannot be kept. With an id, they take the place of what had it. */
export async function keep(name: string, files: readonly File[], id?: string): Promise<string> {
  const all = await folder();
  if (!all)
    return isSecureContext ? "" : `${name} is not kept for the next visit: a browser keeps files only of pages that came over https.`;
  const key = id ?? hashOf(files.map((f) => `${f.name}\n${f.size}\n${f.lastModified}`).join("\n"));
  return navigator.locks.request(lockOf(key), { ifAvailable: true }, async (lock) => {
    if (!lock) return id ? `${name} is not kept for the next visit: the one before it is open in another tab.` : "";
    if (!id && (await sheetOf(key))) return "";
    const { quota = Number.POSITIVE_INFINITY, usage = 0 } = await navigator.storage.estimate();
    const bytes = bytesOf(files);
    if (bytes > quota - usage)
      return `${name} is not kept for the next visit: it has ${showSize(bytes)}, and the browser gives this page ${showSize(quota - usage)}.`;
    try {
      await all.removeEntry(key, { recursive: true }).catch(() => {});
      const own = await all.getDirectoryHandle(key, { create: true });
      const write = async (called: string, contents: Blob): Promise<void> =>
        contents.stream().pipeTo(await (await own.getFileHandle(called, { create: true })).createWritable());
      for (const file of files) await write(file.name, file);
      const sheet: Sheet = { name, bytes, files: files.map((f) => f.name) };
      await write(sheetName, new Blob([JSON.stringify(sheet)]));
      return "";
    } catch (error) {
      await all.removeEntry(key, { recursive: true }).catch(() => {});
      return `${name} is not kept for the next visit: ${(error as Error).message}`;
    }
  });
}
const showSize = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** Opens what is kept, and keeps every tab from forgetting it. */
export async function openKept(id: string): Promise<Held> {
  const release = await hold(id);
  try {
    const sheet = await sheetOf(id);
    if (!sheet) throw new PageError("This model is not kept here any more. Choose its files again.");
    const own = await (await folder())!.getDirectoryHandle(id);
    const files = await Promise.all(sheet.files.map(async (name) => (await own.getFileHandle(name)).getFile()));
    return { name: sheet.name, files, release };
  } catch (error) {
    release();
    throw error;
  }
}
/** A lock that others may share, until the function that it gives is called. */
function hold(id: string): Promise<() => void> {
  return new Promise((held, failed) => {
    const asked = navigator.locks.request(lockOf(id), { mode: "shared" }, () => new Promise<void>((release) => held(release)));
    asked.catch(failed);
  });
}

/** Removes what is kept, where no tab has it open. */
export async function forgetKept(id: string): Promise<void> {
  const all = await folder();
  const name = (await sheetOf(id))?.name ?? "This model";
  await navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
    if (!lock) throw new PageError(`${name} is open, here or in another tab. Load another model there first, or close that tab.`);
    await all?.removeEntry(id, { recursive: true });
  });
}

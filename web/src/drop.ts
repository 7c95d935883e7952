/** Files that are dropped anywhere on the page: as they are, or those of a folder. */

export interface Dropped {
  readonly files: readonly File[];
  /** Of the folder, where one was dropped. */
  readonly name?: string;
}
function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((done, failed) => entry.file(done, failed));
}
async function inside(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  for (;;) {
    // A browser gives the entries of a large folder in parts.
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return files;
    for (const e of some) if (e.isFile) files.push(await fileOf(e as FileSystemFileEntry));
  }
}
async function filesOf(items: readonly DataTransferItem[]): Promise<Dropped> {
  const folder = items.map((item) => item.webkitGetAsEntry()).find((entry) => entry?.isDirectory);
  // All are asked for at once: the list is emptied when the event is over.
  const found = items.flatMap((item): Promise<File[]>[] => {
    const entry = item.webkitGetAsEntry();
    if (entry?.isDirectory) return [inside(entry as FileSystemDirectoryEntry)];
    const file = item.getAsFile();
    return file ? [Promise.resolve([file])] : [];
  });
  return { files: (await Promise.all(found)).flat(), ...(folder && { name: folder.name }) };
}

/** Calls `take` with what was dropped; `mark` is told while something hangs over the page. */
export function listenForDrops(mark: (over: boolean) => void, take: (dropped: () => Promise<Dropped>) => void): void {
  document.addEventListener("dragover", (e) => {
    e.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", () => mark(false));
  document.addEventListener("drop", (e) => {
    e.preventDefault();
    mark(false);
    const files = filesOf([...(e.dataTransfer?.items ?? [])].filter((i) => i.kind === "file"));
    files.catch(() => {});
    take(() => files);
  });
}

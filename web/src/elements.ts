/** The page's elements by their names. */
export function find<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}
export const button = (id: string): HTMLButtonElement => find(id, HTMLButtonElement);
export const input = (id: string): HTMLInputElement => find(id, HTMLInputElement);
export const say = (id: string, text: string): void => void (find(id, HTMLElement).textContent = text);
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

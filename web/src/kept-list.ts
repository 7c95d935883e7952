/** The list of models that this browser keeps. */
import { find, megabytes } from "./elements.js";
import type { KeptModel } from "./protocol.js";

/** Writes it; where nothing is kept, nothing is shown. */
export function showKept(models: readonly KeptModel[], open: (model: KeptModel) => void, forget: (model: KeptModel) => void): void {
  const press = (text: string, model: KeptModel, act: (model: KeptModel) => void): HTMLButtonElement => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: () => act(model) });
    made.setAttribute("aria-label", `${text} ${model.name}`);
    return made;
  };
  find("kept", HTMLUListElement).replaceChildren(
    ...models.map((m) => {
      const row = document.createElement("li");
      const name = Object.assign(document.createElement("span"), { textContent: `${m.name}, ${megabytes(m.bytes)}` });
      row.append(name, press("Open", m, open), press("Forget", m, forget));
      return row;
    }),
  );
  find("kept-box", HTMLElement).hidden = models.length === 0;
}
/** Lets them be used, or not. */
export function enableKept(enabled: boolean): void {
  for (const b of find("kept", HTMLUListElement).querySelectorAll("button")) b.disabled = !enabled;
}

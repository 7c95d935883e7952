/**
 * The text that a model writes. It is laid out in blocks of lines, so that adding to a long text costs what adding to a short one does; of a
 * text that goes on and on the last blocks stay, so that it does not fill the memory.
 */
const blockLength = 4000;
const mostBlocks = 64;

export class TextView {
  readonly #box: HTMLElement;
  #last = new Text();
  #unwritten = "";

  constructor(box: HTMLElement) {
    this.#box = box;
  }
  /** Begins anew, with a text that was given. */
  begin(given: string): void {
    this.#unwritten = "";
    const span = Object.assign(document.createElement("span"), { className: "given", textContent: given });
    this.#box.replaceChildren(this.#block(span));
  }
  /** Text that comes is written once a frame: a fast model makes several tokens in one. */
  write(piece: string): void {
    if (!this.#unwritten) requestAnimationFrame(() => this.flush());
    this.#unwritten += piece;
    // A page that nobody sees has no frames.
    if (this.#unwritten.length > blockLength) this.flush();
  }
  /** Writes what has come now: at the end, whoever reads it finds all of it. */
  flush(): void {
    const box = this.#box;
    const below = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const end = this.#end();
    if (end) {
      // A block ends with a line, so that the text reads (and is copied) as it was written.
      this.#last.appendData(this.#unwritten.slice(0, end));
      box.append(this.#block());
      if (box.childElementCount > mostBlocks) this.#shorten();
    }
    this.#last.appendData(this.#unwritten.slice(end));
    this.#unwritten = "";
    if (below) box.scrollTop = box.scrollHeight;
  }
  /** Where in the text that came the block ends; 0 where it goes on. A line that never ends is cut. */
  #end(): number {
    if (this.#last.length < blockLength) return 0;
    return this.#unwritten.lastIndexOf("\n") + 1 || (this.#last.length > 4 * blockLength ? this.#unwritten.length : 0);
  }
  #shorten(): void {
    const [first, second] = this.#box.children;
    const gap = first!.className === "gap" ? first! : undefined;
    if (gap) second!.remove();
    else
      first!.replaceWith(Object.assign(document.createElement("div"), { className: "gap", textContent: "(Earlier text is not shown.)\n" }));
  }
  #block(...before: readonly Node[]): HTMLElement {
    this.#last = new Text();
    const block = document.createElement("div");
    block.append(...before, this.#last);
    return block;
  }
}

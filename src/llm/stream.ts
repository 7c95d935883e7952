/** Text as it comes, token by token. */
import type { Tokenizer } from "./tokenizer.js";

/** Text of a growing list of tokens, given out as soon as it no longer changes. */
export class TextStream {
  private readonly tokenizer: Pick<Tokenizer, "decode">;
  private readonly tokens: number[];
  private from = 0;
  private told: number;

  /** `before`: the tokens that the text goes on from; they are not given out. */
  constructor(tokenizer: Pick<Tokenizer, "decode">, before: readonly number[] = []) {
    this.tokenizer = tokenizer;
    // A few tokens tell whether the next one starts with a space.
    this.tokens = before.slice(-8);
    this.told = this.tokens.length;
  }
  /** The text that one more token makes sure of: "" while a character is incomplete. */
  push(token: number): string {
    this.tokens.push(token);
    return this.tell(false);
  }
  /** What was held back. */
  end(): string {
    return this.tell(true);
  }
  private tell(all: boolean): string {
    const before = this.tokenizer.decode(this.tokens.slice(this.from, this.told));
    const now = this.tokenizer.decode(this.tokens.slice(this.from));
    if (now.length <= before.length || (!all && now.endsWith("\ufffd"))) return "";
    this.from = this.told;
    this.told = this.tokens.length;
    return now.slice(before.length);
  }
}

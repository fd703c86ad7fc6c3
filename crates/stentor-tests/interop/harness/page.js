// A page of the documentation, for tests that do what it says.

import { readFileSync } from "node:fs";

const ROOT = new URL("../../../../", import.meta.url);

export class Page {
  #name;
  #text;

  /** `name` is the page's path in the repository. */
  constructor(name) {
    this.#name = name;
    this.#text = readFileSync(new URL(name, ROOT), "utf8");
  }

  /** The first block of code that is fenced with these words, `js watch.mjs` say. */
  code(words) {
    return this.find(new RegExp(`^\`\`\`${words.replace(".", "\\.")}\n(.*?)^\`\`\`$`, "ms"))[1];
  }

  /** The first match of `pattern`; a page without one has changed under its test. */
  find(pattern) {
    const match = this.#text.match(pattern);
    if (!match) throw new Error(`${this.#name} has nothing like ${pattern}`);
    return match;
  }

  /** Every match of `pattern`, at least one. */
  all(pattern) {
    this.find(pattern);
    return [...this.#text.matchAll(pattern)];
  }
}

// GraphiQL as a person uses it: with the mouse and the keyboard, in a real browser.

import { within } from "./wait.js";

export class GraphiQL {
  #page;
  /** The addresses that the page and its workers have asked, without what is data in itself. */
  addresses = [];
  /** What the browser complained about. */
  complaints = [];

  /** Opens `url` in a window of its own of `browser`, and waits for the editors. */
  static async open(browser, url, viewport = { width: 1280, height: 800 }) {
    const graphiql = new GraphiQL();
    const page = (graphiql.#page = await browser.window(viewport));
    const asks = (address) => address.startsWith("data:") || address.startsWith("blob:") || graphiql.addresses.push(address);
    page.context().on("request", (request) => asks(request.url()));
    page.on("websocket", (socket) => asks(socket.url()));
    page.on("console", (message) => message.type() === "error" && graphiql.complaints.push(message.text()));
    page.on("pageerror", (error) => graphiql.complaints.push(error.message));
    await page.goto(url);
    await graphiql.#editor(QUERY).waitFor();
    return graphiql;
  }

  /** Writes the operation. */
  async write(query) {
    await this.#fill(QUERY, query);
  }

  /** Writes a token where the page has its place for it. */
  async authorize(token) {
    await this.#fill(HEADERS, JSON.stringify({ Authorization: `Bearer ${token}` }));
  }

  async run() {
    await this.#page.getByRole("button", { name: /Execute query/ }).click();
  }

  async fetchSchema() {
    await this.#page.getByRole("button", { name: "Re-fetch GraphQL schema" }).click();
  }

  async openDocumentation() {
    await this.#page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  }

  /** Follows a link in the documentation. */
  async follow(name) {
    await this.#page.locator(".graphiql-plugin").getByRole("link", { name, exact: true }).first().click();
  }

  /** Waits for `text` in the documentation. */
  async documents(text) {
    await this.#page.locator(".graphiql-plugin").getByText(text).first().waitFor();
  }

  /** Waits for a result with `text` in it. */
  async shows(text) {
    const result = this.#page.locator(".graphiql-response .view-line").filter({ hasText: text }).first();
    await within(result.waitFor(), `GraphiQL shows ${text}`);
  }

  /** Whether all of the page stands within the width of its window. */
  async fits() {
    return this.#page.evaluate(() => {
      const boxes = [...document.querySelectorAll(".graphiql-editors, .graphiql-response, .graphiql-execute-button")];
      return boxes.every((box) => {
        const { left, right, width } = box.getBoundingClientRect();
        return left >= 0 && right <= innerWidth && width >= 40;
      });
    });
  }

  close() {
    this.#page.close().catch(() => {}); // not awaited: the browser may have gone first
  }

  #editor(name) {
    return this.#page.locator(name).locator(".monaco-editor").first();
  }

  async #fill(name, text) {
    await this.#editor(name).click();
    await this.#page.keyboard.press("ControlOrMeta+A");
    await this.#page.keyboard.press("Delete");
    await this.#page.keyboard.insertText(text);
  }
}

const QUERY = ".graphiql-query-editor";
const HEADERS = ".graphiql-editor-tool .graphiql-editor:not(.hidden)";

// A real browser, and pages of the test's own in it.

import { once } from "node:events";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { within } from "./wait.js";

// Nothing is to leave the machine, and Debian's Chromium is the one that `scripts/setup` installs.
const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = ["--disable-background-networking", "--disable-component-update", "--disable-quic", "--disable-sync", "--no-first-run"];

export class Browser {
  #chromium;
  #sites = [];

  static async launch() {
    const browser = new Browser();
    browser.#chromium = await chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS });
    return browser;
  }

  /** An empty page at `http://host:port/`, whose port nobody else has; `host` is any name of this machine's loopback. */
  async page(host) {
    const address = host === "localhost" ? "127.0.0.1" : host;
    const site = createServer((request, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>Page of a test</title>");
    });
    this.#sites.push(site);
    await once(site.listen(0, address), "listening");
    const page = await this.#chromium.newPage();
    const origin = `http://${host}:${site.address().port}`;
    await page.goto(origin);
    return new Page(page, origin);
  }

  /** An empty window of its own, which shares nothing with the others. */
  async window(viewport) {
    return this.#chromium.newPage({ viewport });
  }

  async close() {
    await this.#chromium.close();
    for (const site of this.#sites) site.close();
  }
}

class Page {
  #page;
  origin;

  constructor(page, origin) {
    this.#page = page;
    this.origin = origin;
  }

  /**
   * Opens a WebSocket with the page's own means, says `hello`, starts `query` after the acknowledgement, and closes after the first
   * result. What the page saw: whether the socket opened, the first result, code and reason of the close.
   */
  async socket(url, { protocols = ["graphql-transport-ws"], hello, query } = {}) {
    return within(this.#page.evaluate(talk, { url, protocols, hello, query }), `${this.origin} is done with ${url}`);
  }

  /** Posts a query with the page's own means; the answer's JSON, or the error that the page gets. */
  async post(url, { token, query }) {
    return within(this.#page.evaluate(ask, { url, token, query }), `${this.origin} has asked ${url}`);
  }

  /** Sends a query to `url` as browsers do for any page without asking the server first; `means` is one of those below. */
  async sendUnasked(url, means) {
    await this.#page.evaluate(sendUnasked, { url, means });
  }

  close() {
    this.#page.close().catch(() => {}); // not awaited: the browser may have gone first
  }
}

// These run in the browser, and can see nothing of this file.

function talk({ url, protocols, hello, query }) {
  return new Promise((resolve) => {
    const seen = { opened: false };
    const socket = new WebSocket(url, protocols);
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => {
      seen.opened = true;
      if (hello) send({ type: "connection_init", payload: hello });
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "connection_ack") send({ id: "1", type: "subscribe", payload: { query } });
      if (message.type !== "next") return;
      seen.result = message.payload;
      socket.close(1000);
    };
    socket.onclose = ({ code, reason }) => resolve({ ...seen, code, reason });
  });
}

async function ask({ url, token, query }) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  try {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query }) });
    return await response.json();
  } catch (error) {
    return error.name;
  }
}

function sendUnasked({ url, means }) {
  const query = "{ __typename }";
  const body = JSON.stringify({ query });
  const post = { method: "POST", mode: "no-cors", credentials: "include" };
  const address = `${url}?query=${encodeURIComponent(query)}`;
  const form = (enctype) => {
    document.body.append(Object.assign(document.createElement("iframe"), { name: enctype }));
    const form = Object.assign(document.createElement("form"), { action: url, method: "POST", enctype, target: enctype });
    form.append(Object.assign(document.createElement("input"), { name: "query", value: query }));
    document.body.append(form);
    form.submit();
  };
  const ways = {
    form: () => form("application/x-www-form-urlencoded"),
    "form with files": () => form("multipart/form-data"),
    "form of text": () => form("text/plain"),
    "fetch of text": () => void fetch(url, { ...post, body }),
    "fetch without a type": () => void fetch(url, { ...post, body: new Blob([body]) }),
    beacon: () => navigator.sendBeacon(url, new Blob([body], { type: "text/plain" })),
    image: () => (new Image().src = address),
    script: () => document.head.append(Object.assign(document.createElement("script"), { src: address })),
    frame: () => document.body.append(Object.assign(document.createElement("iframe"), { src: address })),
    "fetch by GET": () => void fetch(address, { mode: "no-cors", credentials: "include" }),
  };
  ways[means]();
}

// A WebSocket that sends what the test says and nothing else.

import { once } from "node:events";
import WebSocket from "ws";
import { token } from "./token.js";
import { Inbox, within } from "./wait.js";

export class RawSocket {
  #socket;
  #messages = new Inbox();
  #closed;

  static async open(server, { protocols = ["graphql-transport-ws"] } = {}) {
    const raw = new RawSocket();
    raw.#socket = new WebSocket(server.webSocketUrl(), protocols);
    raw.#socket.on("message", (data) => raw.#messages.put(JSON.parse(data)));
    raw.#closed = once(raw.#socket, "close");
    await within(once(raw.#socket, "open"), "the socket opens");
    return raw;
  }

  send(message) {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Introduces itself and waits for the acknowledgement. */
  async init(claims) {
    this.send({ type: "connection_init", payload: { Authorization: `Bearer ${token(claims)}` } });
    return this.next();
  }

  /** The next message. */
  async next() {
    return this.#messages.take("a message from the server");
  }

  /** The code and reason of the server's close frame. */
  async closed() {
    const [code, reason] = await within(this.#closed, "the server closes the socket");
    return { code, reason: reason.toString() };
  }

  close() {
    this.#socket.terminate();
  }
}

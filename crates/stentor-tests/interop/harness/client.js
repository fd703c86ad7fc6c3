// The reference client, `graphql-ws`, with what it tells its application written down.

import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { token } from "./token.js";
import { Inbox, until, within } from "./wait.js";

export class Client {
  #client;
  #acknowledged = new Map();
  #count = 0;
  /** Payloads of the server's pings. */
  pings = new Inbox();
  /** Close codes of its sockets. */
  closes = new Inbox();
  /** How many sockets it has opened. */
  opened = 0;

  constructor(server, { claims, path, options = {} } = {}) {
    this.#client = createClient({
      url: server.webSocketUrl(path),
      webSocketImpl: WebSocket,
      connectionParams: () => ({ Authorization: `Bearer ${token(claims)}` }),
      onNonLazyError: () => {},
      ...options,
      on: {
        opened: () => (this.opened += 1),
        closed: (event) => this.closes.put(event.code),
        ping: (received, payload) => received && this.#pinged(payload),
        ...options.on,
      },
    });
  }

  /** Starts an operation without waiting for anything. */
  start(query, variables, extensions) {
    return new Operation(this.#client, { query, variables, extensions });
  }

  /** Starts a subscription and waits until the server says that it is live, for `deadlineMs` if that may take longer than usual. */
  async subscribe(query, variables, deadlineMs) {
    const ackId = `ack-${(this.#count += 1)}`;
    const operation = this.start(query, variables, { ackId });
    operation.live = (times = 1) =>
      until(() => (this.#acknowledged.get(ackId) ?? 0) >= times, `acknowledgement ${times} of ${query}`, deadlineMs);
    await Promise.race([operation.live(), operation.refused()]);
    return operation;
  }

  close() {
    // Not awaited: while the client pauses between two attempts to connect, its promise stays open for ever.
    this.#client.dispose();
  }

  #pinged(payload) {
    if (payload?.ackId) this.#acknowledged.set(payload.ackId, (this.#acknowledged.get(payload.ackId) ?? 0) + 1);
    else this.pings.put(payload);
  }
}

/** One operation and its results. */
export class Operation {
  #results = new Inbox();
  #end;
  #query;
  /** Ends it from the client's side. */
  unsubscribe;

  constructor(client, payload) {
    this.#query = payload.query;
    this.#end = new Promise((resolve) => {
      this.unsubscribe = client.subscribe(payload, {
        next: (result) => this.#results.put(result),
        error: (error) => resolve({ error }),
        complete: () => resolve({ error: null }),
      });
    });
  }

  /** The next execution result; throws when the operation ends with an error instead. */
  async next() {
    return Promise.race([this.#results.take(`a result of ${this.#query}`), this.refused()]);
  }

  /** The execution results that came and were not taken. */
  get waiting() {
    return this.#results.size;
  }

  /** What ended it: GraphQL errors, a close event, or null after `complete`. */
  async end() {
    const { error } = await within(this.#end, `the end of ${this.#query}`);
    return error;
  }

  /** Never returns; throws when the operation ends with an error. */
  async refused() {
    const { error } = await this.#end;
    if (error) throw new Error(`${this.#query} was refused: ${JSON.stringify(error)}`);
    return new Promise(() => {});
  }
}

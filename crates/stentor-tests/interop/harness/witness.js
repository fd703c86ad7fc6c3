// Stands before a server and notes what it answers: a browser hides from everybody what a page may not see.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { Inbox } from "./wait.js";

export class Witness {
  #proxy;
  #statuses = new Inbox();

  static async before(server) {
    const witness = new Witness();
    witness.#proxy = createServer((asked, answered) => witness.#forward(server, asked, answered));
    await once(witness.#proxy.listen(0, "127.0.0.1"), "listening");
    return witness;
  }

  /** The address of `path`, by way of the witness. */
  url(path = "/graphql") {
    return `http://127.0.0.1:${this.#proxy.address().port}${path}`;
  }

  /** The status of the server's next answer; `what` names it if it does not come. */
  async status(what) {
    return this.#statuses.take(what);
  }

  close() {
    this.#proxy.close();
    this.#proxy.closeAllConnections();
  }

  #forward(server, asked, answered) {
    const { method, headers } = asked;
    const forwarded = request(server.url(asked.url), { method, headers }, (answer) => {
      this.#statuses.put(answer.statusCode);
      answered.writeHead(answer.statusCode, answer.headers);
      answer.pipe(answered);
    });
    forwarded.on("error", () => answered.destroy());
    asked.pipe(forwarded);
  }
}

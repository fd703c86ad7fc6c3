// An OpenID provider that is not ours, with the life that such a thing has: it stops, comes back, and changes its keys.

import { fileURLToPath } from "node:url";
import { freePort, Program } from "./program.js";

const PROGRAM = fileURLToPath(new URL("oidc-provider.js", import.meta.url));

export class OidcProvider {
  #port;
  #program;

  static async start(kid, alg = "RS256") {
    const provider = new OidcProvider();
    provider.#port = await freePort();
    await provider.#launch(kid, alg);
    return provider;
  }

  get issuer() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A token from its token endpoint, for a client of its own. */
  async token({ resource = "urn:stentor", scope = "bot:view" } = {}) {
    const body = new URLSearchParams({
      grant_type: "client_credentials", client_id: "dashboard", client_secret: "dashboard-secret", resource, scope,
    });
    const response = await fetch(`${this.issuer}/token`, { method: "POST", body });
    const answer = await response.json();
    if (!response.ok) throw new Error(`no token: ${JSON.stringify(answer)}`);
    return answer.access_token;
  }

  /** It stops answering. */
  async stop() {
    await this.#program.end("SIGKILL");
  }

  /** It stops, and comes back at the same address with another key and none of those before. */
  async rotate(kid, alg = "RS256") {
    await this.stop();
    await this.#launch(kid, alg);
  }

  /** What a world calls at the end of a test. */
  close() {
    this.#program.end("SIGKILL").catch(() => {});
  }

  async #launch(kid, alg) {
    this.#program = new Program(process.execPath, [PROGRAM, String(this.#port), kid, alg]);
    await this.#program.printed(/^listening$/m);
  }
}

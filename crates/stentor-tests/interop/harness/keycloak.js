// A real Keycloak with the realm in `keycloak/realm.json`.

import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, Program } from "./program.js";
import { until } from "./wait.js";

const REALM = fileURLToPath(new URL("../keycloak/realm.json", import.meta.url));
// A machine with much to do needs minutes.
const PATIENCE_MS = 300_000;

export class Keycloak {
  #home;
  #port;
  #program;

  static async start() {
    const installed = process.env.KEYCLOAK_HOME;
    if (!installed) throw new Error("KEYCLOAK_HOME is not set; `make test-keycloak` installs Keycloak and sets it");
    const keycloak = new Keycloak();
    keycloak.#home = await mkdtemp(join(tmpdir(), "stentor-keycloak-"));
    await cp(installed, keycloak.#home, { recursive: true });
    await mkdir(join(keycloak.#home, "data/import"), { recursive: true });
    await cp(REALM, join(keycloak.#home, "data/import/realm.json"));
    keycloak.#port = await freePort();
    const options = [`--http-port=${keycloak.#port}`, "--http-host=127.0.0.1", "--http-enabled=true", "--cache=local"];
    const args = ["start", "--optimized", "--import-realm", `--hostname=http://127.0.0.1:${keycloak.#port}`, ...options];
    const env = {
      ...process.env,
      JAVA_OPTS_KC_HEAP: "-Xmx512m",
      KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
      KC_BOOTSTRAP_ADMIN_PASSWORD: "admin",
    };
    keycloak.#program = new Program("bash", [join(keycloak.#home, "bin/kc.sh"), ...args], { env });
    try {
      await keycloak.#program.printed(/Listening on: http/, PATIENCE_MS);
      // It listens before it can answer.
      const discovery = `${keycloak.issuer}/.well-known/openid-configuration`;
      await until(async () => (await fetch(discovery)).ok, "Keycloak knows its realm", PATIENCE_MS);
    } catch (error) {
      error.message += `\n${keycloak.output}`;
      await keycloak.stop();
      throw error;
    }
    return keycloak;
  }

  get issuer() {
    return this.#url("/realms/bots");
  }

  get output() {
    return this.#program.output;
  }

  /** What a user of the dashboard, or of another client, gets for a password. */
  async token(user, client = "dashboard") {
    const form = { grant_type: "password", client_id: client, username: user, password: user };
    const { access_token } = await this.#post("/realms/bots/protocol/openid-connect/token", form);
    return access_token;
  }

  /** The same user's token with what the client `bots` lets them do. */
  async permissions(user) {
    const form = { grant_type: "urn:ietf:params:oauth:grant-type:uma-ticket", audience: "bots" };
    const { access_token } = await this.#post("/realms/bots/protocol/openid-connect/token", form, await this.token(user));
    return access_token;
  }

  /** Gives the realm a new key, which signs from then on, and takes those that signed before away. */
  async rotate() {
    const form = { grant_type: "password", client_id: "admin-cli", username: "admin", password: "admin" };
    const { access_token: admin } = await this.#post("/realms/master/protocol/openid-connect/token", form);
    const components = "/admin/realms/bots/components";
    const before = await this.#ask(`${components}?type=org.keycloak.keys.KeyProvider`, admin);
    const { id: parentId } = await this.#ask("/admin/realms/bots", admin);
    const key = {
      name: "newer", parentId, providerId: "rsa-generated", providerType: "org.keycloak.keys.KeyProvider",
      config: { priority: ["1000"], enabled: ["true"], active: ["true"], algorithm: ["RS256"] },
    };
    await this.#ask(components, admin, "POST", key);
    for (const { id, providerId } of before) {
      if (providerId === "rsa-generated") await this.#ask(`${components}/${id}`, admin, "DELETE");
    }
  }

  async stop() {
    await this.#program.end("SIGTERM"); // which its script hands on to Java, as it could not hand on a kill
    await rm(this.#home, { recursive: true });
  }

  #url(path) {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  async #post(path, form, token) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    return read(await fetch(this.#url(path), { method: "POST", headers, body: new URLSearchParams(form) }));
  }

  async #ask(path, token, method = "GET", body = undefined) {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    return read(await fetch(this.#url(path), { method, headers, body: JSON.stringify(body) }));
  }
}

async function read(response) {
  const text = await response.text();
  if (!response.ok) throw new Error(`Keycloak answered ${response.status}: ${text}`);
  return text ? JSON.parse(text) : undefined;
}

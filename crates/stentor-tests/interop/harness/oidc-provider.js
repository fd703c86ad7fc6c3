// An OpenID provider in a process of its own: `node oidc-provider.js PORT KID RS256|ES256`. It forgets everything at its end.

import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, kid, alg] = process.argv.slice(2);

const { privateKey } = alg === "RS256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });

/** Whom a token is for, and for how long, by the resource that a client asks it for. */
const RESOURCES = {
  "urn:stentor": { audience: "stentor", accessTokenTTL: 3600 },
  "urn:stentor:brief": { audience: "stentor", accessTokenTTL: 2 },
  "urn:another": { audience: "another", accessTokenTTL: 3600 },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "dashboard",
      client_secret: "dashboard-secret",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  // What it offers to sign id tokens with must fit its keys, also where nobody asks for one.
  clientDefaults: { id_token_signed_response_alg: alg },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        ...RESOURCES[resource],
        scope: "bot:view bot:42:view trade:view",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg } },
      }),
    },
  },
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" }] },
});

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));

// GraphQL over HTTP, by the judgement of the reference audits.

import assert from "node:assert/strict";
import { auditServer } from "graphql-http";
import { token } from "../harness/token.js";
import { fact } from "../harness/world.js";

// As many as the package has. Another number comes with another version, and whoever updates it looks at what is new.
const AUDITS = 61;

const schema = `
  type Subscription { tick: Tick @subscribe(topic: "tick") }
  type Tick { n: Int! }
`;

fact("every audit of graphql-http is met, SHOULDs and MAYs too", async (world) => {
  const folder = await world.folder({ "schema.graphql": schema });
  const server = await world.server({ folder: folder.path });
  await audit({ url: server.url() });
});

fact("every audit of graphql-http is met for a client with a token", async (world) => {
  const server = await world.server();
  const authorization = `Bearer ${token()}`;
  const fetchFn = (url, { headers, ...options } = {}) => fetch(url, { ...options, headers: { ...headers, authorization } });
  await audit({ url: server.url(), fetchFn });
});

async function audit(options) {
  const results = await auditServer(options);
  assert.equal(results.length, AUDITS);
  const unmet = results.filter(({ status }) => status !== "ok");
  assert.deepEqual(unmet.map(({ id, name, status, reason }) => `${id} ${status}: ${name}: ${reason}`), []);
}

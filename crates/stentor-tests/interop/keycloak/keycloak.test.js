// A real Keycloak says who somebody is and what they may do.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Keycloak } from "../harness/keycloak.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const schema = `
type Subscription {
  botStatusChanged(botId: ID!): Bot!
    @subscribe(topic: "bot:{{ args.botId }}") @hasScope(scope: "view", resource: "bot:{{ args.botId }}")
  runnerStatusChanged(runnerId: ID!): Runner!
    @subscribe(topic: "runner:{{ args.runnerId }}") @hasScope(scope: "view", resource: "runner:{{ args.runnerId }}")
  documentUpdates(tenantId: String!): Document! @subscribe(topic: "documents:{{ args.tenantId }}") @tenant(argument: "tenantId")
}
type Bot { status: String! }
type Runner { status: String! }
type Document { id: ID! }
`;
const bot = (id) => `subscription { botStatusChanged(botId: "${id}") { status } }`;
const RUNNER = 'subscription { runnerStatusChanged(runnerId: "eu-1") { status } }';
const documents = (tenant) => `subscription { documentUpdates(tenantId: "${tenant}") { id } }`;
const RUNNING = { data: { botStatusChanged: { status: "running" } } };

let keycloak;
before(async () => (keycloak = await Keycloak.start()));
after(() => keycloak?.stop());

fact("a user's realm role opens what the configuration maps it to, and nothing else", async (world) => {
  const server = await serve(world);
  const ann = client(world, server, () => keycloak.token("ann"));
  const operation = await ann.subscribe(bot(42));
  await publish(world);
  assert.deepEqual(await operation.next(), RUNNING);
  await forbidden(ann, RUNNER);
});

fact("a user's client role opens what the configuration maps it to, and nothing else", async (world) => {
  const server = await serve(world);
  const bob = client(world, server, () => keycloak.token("bob"));
  await bob.subscribe(RUNNER);
  await forbidden(bob, bot(42));
});

fact("a permission in a requesting party token opens its resource for its scope, and no other resource", async (world) => {
  const server = await serve(world);
  const bob = client(world, server, () => keycloak.permissions("bob"));
  const operation = await bob.subscribe(bot(42));
  await publish(world);
  assert.deepEqual(await operation.next(), RUNNING);
  await forbidden(bob, bot(43));
});

fact("a tenant is the one in the user's attribute", async (world) => {
  const server = await serve(world);
  const ann = client(world, server, () => keycloak.token("ann"));
  await ann.subscribe(documents("acme"));
  await forbidden(ann, documents("umbrella"));
});

fact("a token of a client that is not meant for this server is closed with 4403", async (world) => {
  const server = await serve(world);
  const socket = await world.socket(server);
  socket.send({ type: "connection_init", payload: { token: await keycloak.token("ann", "elsewhere") } });
  const { code, reason } = await socket.closed();
  assert.equal(code, 4403);
  assert.match(reason, /audience/);
});

fact("when a token ends after seconds, the client comes back with a new one and hears on", async (world) => {
  const server = await serve(world);
  const asked = [];
  const ann = client(world, server, async () => {
    asked.push(asked.length ? "dashboard" : "brief");
    return keycloak.token("ann", asked.at(-1));
  });
  const operation = await ann.subscribe(bot(42));
  assert.equal(await ann.closes.take("the end of the first token"), 4403);
  await operation.live(2);
  await publish(world);
  assert.deepEqual(await operation.next(), RUNNING);
  assert.deepEqual(asked, ["brief", "dashboard"]);
});

fact("a new key works within a minute, one that was taken away no longer than that, and who runs is not disturbed", async (world) => {
  const server = await serve(world, { STENTOR_AUTH__JWT__REFRESH_INTERVAL: "1m" });
  const running = client(world, server, () => keycloak.token("ann"));
  const operation = await running.subscribe(bot(42));
  const ofOld = await keycloak.token("ann");

  await keycloak.rotate();
  const options = { retryAttempts: 120, retryWait: () => new Promise((resolve) => setTimeout(resolve, 500)) };
  const late = await client(world, server, () => keycloak.token("ann"), options).subscribe(bot(42), undefined, 60_000);
  await publish(world);
  for (const heard of [operation, late]) assert.deepEqual(await heard.next(), RUNNING);
  assert.equal(running.opened, 1);

  await until(async () => [1013, 4403].includes(await closeOf(world, server, ofOld)), "the old key's token is let in no more", 70_000);
});

fact("without Keycloak the server keeps its connections and the keys it knows", async (world) => {
  const server = await serve(world);
  const token = await keycloak.token("ann");
  const running = client(world, server, () => token);
  const operation = await running.subscribe(bot(42));
  await keycloak.stop();
  keycloak = undefined;

  const late = await client(world, server, () => token).subscribe(bot(42));
  await publish(world);
  for (const heard of [operation, late]) assert.deepEqual(await heard.next(), RUNNING);
  assert.equal(running.opened, 1);
});

/** A server that is configured as docs/authentication.md says. */
async function serve(world, more = {}) {
  const folder = await world.folder({ "schema.graphql": schema });
  const environment = {
    STENTOR_AUTH__JWT__ISSUER: keycloak.issuer,
    STENTOR_AUTH__JWT__AUDIENCE: "stentor,bots",
    STENTOR_AUTH__TENANT_CLAIM: "tenant_id",
    STENTOR_AUTH__ROLES: "trader=bot:view; dashboard/operator=runner:view",
    ...more,
  };
  const server = await world.server({ folder: folder.path, environment });
  await until(async () => /keys fetched/.test(server.output), "the keys are fetched");
  return server;
}

/** A client that asks for a token each time it connects. */
function client(world, server, token, options) {
  const connectionParams = async () => ({ authToken: `Bearer ${await token()}` });
  return world.client(server, { options: { connectionParams, ...options } });
}

async function forbidden(user, query) {
  const [error] = await user.start(query).end();
  assert.equal(error.extensions?.code, "FORBIDDEN", JSON.stringify(error));
}

/** The code of the close that a token gets; nothing when it is let in. */
async function closeOf(world, server, token) {
  const socket = await world.socket(server);
  socket.send({ type: "connection_init", payload: { token } });
  const answer = await Promise.race([socket.next(), socket.closed()]);
  socket.close();
  return answer.code;
}

async function publish(world) {
  await world.redis.publish("bot:42", { status: "running" });
}

// An OpenID provider says who somebody is: found by its issuer, with keys that change.

import assert from "node:assert/strict";
import { OidcProvider } from "../harness/oidc.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const QUERY = 'subscription { botStatusChanged(botId: "42") { status } }';
const RUNNING = { data: { botStatusChanged: { status: "running" } } };

const schema = `
type Subscription {
  botStatusChanged(botId: ID!): Bot!
    @subscribe(topic: "bot:{{ args.botId }}") @hasScope(scope: "view", resource: "bot:{{ args.botId }}")
}
type Bot { status: String! }
`;

for (const alg of ["RS256", "ES256"]) {
  fact(`a token that the provider signs with ${alg} is let in by what its keys and its scope say`, async (world) => {
    const provider = await start(world, alg);
    const server = await serve(world, provider);
    const operation = await client(world, server, provider).subscribe(QUERY);
    await publish(world);
    assert.deepEqual(await operation.next(), RUNNING);

    const [error] = await client(world, server, provider, { scope: "trade:view" }).start(QUERY).end();
    assert.equal(error.extensions.code, "FORBIDDEN");
  });
}

fact("over HTTP the same token is accepted, and one for another audience is not", async (world) => {
  const provider = await start(world);
  const server = await serve(world, provider);
  assert.equal((await ask(server, await provider.token())).status, 200);
  const refused = await ask(server, await provider.token({ resource: "urn:another" }));
  assert.equal(refused.status, 401);
  assert.match(await refused.text(), /for audience .*another.*, not .*stentor/);
});

fact("tokens of another audience and of another issuer are closed with 4403 and why", async (world) => {
  const [provider, stranger] = [await start(world), await start(world, "RS256", "strange")];
  const server = await serve(world, provider);
  const audience = await refusal(world, server, await provider.token({ resource: "urn:another" }));
  assert.deepEqual([audience.code, /audience/.test(audience.reason)], [4403, true], audience.reason);
  // Its key is unknown too, and may be one that was not fetched yet: it is asked to come back until that is known.
  let issuer;
  await until(
    async () => (issuer = await refusal(world, server, await stranger.token())).code === 4403,
    "the stranger's token is refused",
    40_000,
  );
});

fact("a new key works without a restart, and who runs is not disturbed", async (world) => {
  const provider = await start(world);
  const server = await serve(world, provider);
  const running = client(world, server, provider);
  const operation = await running.subscribe(QUERY);

  await provider.rotate("second");
  const options = { retryAttempts: 60, retryWait: () => new Promise((resolve) => setTimeout(resolve, 500)) };
  const begun = Date.now();
  const late = await client(world, server, provider, {}, options).subscribe(QUERY, undefined, 60_000);
  assert.ok(Date.now() - begun < 60_000, "a new key works within a minute");

  await publish(world);
  for (const heard of [operation, late]) assert.deepEqual(await heard.next(), RUNNING);
  assert.equal(running.opened, 1);
});

fact("without its provider a server keeps its connections, and the keys it knows", async (world) => {
  const provider = await start(world);
  const server = await serve(world, provider);
  const running = client(world, server, provider);
  const operation = await running.subscribe(QUERY);
  const token = await provider.token();
  await provider.stop();

  const late = await world.client(server, { options: { connectionParams: { token } } }).subscribe(QUERY);
  await publish(world);
  for (const heard of [operation, late]) assert.deepEqual(await heard.next(), RUNNING);
  assert.equal(running.opened, 1);
});

fact("when a token ends, the client comes back with a new one by itself, and hears on", async (world) => {
  const provider = await start(world);
  const server = await serve(world, provider);
  let asked = 0;
  const connectionParams = async () => {
    asked += 1;
    return { token: await provider.token({ resource: asked === 1 ? "urn:stentor:brief" : "urn:stentor" }) };
  };
  const brief = world.client(server, { options: { connectionParams } });
  const operation = await brief.subscribe(QUERY);
  assert.equal(await brief.closes.take("the end of the first token"), 4403);
  await operation.live(2);
  await publish(world);
  assert.deepEqual(await operation.next(), RUNNING);
  assert.equal(asked, 2);
});

async function start(world, alg = "RS256", kid = "first") {
  return world.keep(await OidcProvider.start(kid, alg));
}

/** A server that knows of the provider what an operator knows: its issuer. */
async function serve(world, provider) {
  const folder = await world.folder({ "schema.graphql": schema });
  const environment = { STENTOR_AUTH__JWT__ISSUER: provider.issuer, STENTOR_AUTH__JWT__AUDIENCE: "stentor" };
  const server = await world.server({ folder: folder.path, environment });
  await until(async () => /keys fetched/.test(server.output), "the keys are fetched");
  return server;
}

/** A client that asks the provider for a token each time it connects. */
function client(world, server, provider, wanted, options) {
  const connectionParams = async () => ({ Authorization: `Bearer ${await provider.token(wanted)}` });
  return world.client(server, { options: { connectionParams, ...options } });
}

/** Code and reason of the close that a token gets. */
async function refusal(world, server, token) {
  const socket = await world.socket(server);
  socket.send({ type: "connection_init", payload: { token } });
  return socket.closed();
}

function ask(server, token) {
  return fetch(server.url(), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
}

async function publish(world) {
  await world.redis.publish("bot:42", { status: "running" });
}

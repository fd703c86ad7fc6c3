// What the documentation tells a newcomer to do, done letter for letter; only the port is the test's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Page } from "../harness/page.js";
import { token } from "../harness/token.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const readme = new Page("README.md");
const clients = new Page("docs/clients.md");

const LISTEN = "127.0.0.1:4000";
const [, topic, event] = readme.find(/^redis-cli PUBLISH (\S+) '(.*)'$/m);
const [, promise] = readme.find(/prints `(\{.*\})`/);

fact("the README's first client prints the line that the README promises", async (world) => {
  const watch = await tryReadme(world, "watch.mjs");
  await world.redis.publish(topic, event);
  const [line] = await watch.printed(/^\{.*\}$/m);
  assert.equal(line, promise);
});

fact("the README's Apollo client prints the same data", async (world) => {
  const apollo = await tryReadme(world, "apollo.mjs");
  await world.redis.publish(topic, event);
  const [line] = await apollo.printed(/^\{.*\}$/m);
  const { botStatusChanged } = JSON.parse(promise).data;
  assert.deepEqual(JSON.parse(line), { data: { botStatusChanged: { __typename: "Bot", ...botStatusChanged } } });
});

test("the README's schema has the eight lines that it speaks of", () => {
  readme.find(/Save the eight lines above as `schema\.graphql`/);
  assert.equal(readme.code("graphql").trimEnd().split("\n").length, 8);
});

for (const name of ["watch.mjs", "apollo.mjs"]) {
  fact(`the ${name} of docs/clients.md loads the state again after a gap and after a reconnect`, async (world) => {
    const server = await world.server();
    const folder = await world.folder({ [name]: at(server.port, clients.code(`js ${name}`)) });
    const client = folder.node(name, { TOKEN: token({ scope: "bot:view" }) });

    await listened(world);
    await world.redis.publish("bot:42", { bot_id: "42", status: "running", healthy: true });
    await client.printed(/^\{.*"status":"running".*\}$/m);

    await world.redis.restart();
    await client.printed(/load the current state again: BROKER_RECONNECT/);

    await world.stop(server);
    await world.server({ port: server.port });
    await client.printed(/load the current state again: the connection was away/);
    await listened(world);
    await world.redis.publish("bot:42", { bot_id: "42", status: "stopped", healthy: true });
    await client.printed(/^\{.*"status":"stopped".*\}$/m);
  });
}

/** Serves the README's schema in a folder of its own, and starts one of its clients there. */
async function tryReadme(world, name) {
  const folder = await world.folder({ "schema.graphql": readme.code("graphql") });
  const server = await world.server({ folder: folder.path });
  await folder.write(name, at(server.port, readme.code(`js ${name}`)));
  const client = folder.node(name);
  await listened(world);
  return client;
}

/** The text with the test's port in the place of the usual one. */
function at(port, text) {
  assert.ok(text.includes(LISTEN));
  return text.replaceAll(LISTEN, `127.0.0.1:${port}`);
}

async function listened(world) {
  await until(async () => (await world.redis.listeners(topic)) === 1, `${topic} is listened to`);
}

// What the documentation tells a newcomer to do, done letter for letter; only the port is the test's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Page } from "../harness/page.js";
import { check } from "../harness/server.js";
import { token } from "../harness/token.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const readme = new Page("README.md");
const clients = new Page("docs/clients.md");
const operations = new Page("docs/operations.md");
const schema = new Page("docs/schema.md");

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

test("the README's schema is the one that stentor init writes, but for comments and white space", () => {
  const [template] = new Page("crates/stentor-cli/template/schema.graphql").find(/^.*$/s);
  const bare = (text) => text.replace(/^\s*#.*$/gm, "").split(/\s+/).filter(Boolean);
  assert.deepEqual(bare(readme.code("graphql")), bare(template));
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

fact("docs/operations.md lists every metric that there is, with its type, and no other", async (world) => {
  // Some are there only where keys are fetched. Nobody listens on port 9, and nobody has to.
  const environment = { STENTOR_AUTH__JWT__JWKS_URL: "http://127.0.0.1:9/keys" };
  const folder = await world.folder({ "schema.graphql": readme.code("graphql") });
  const server = await world.server({ folder: folder.path, environment });
  const text = await (await fetch(server.url("/metrics"))).text();
  const told = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  const rows = operations.all(/^\| `(stentor_\w+)(?:\{\w+\})?` \| (counter|gauge) \|/gm).map(([, name, type]) => `${name} ${type}`);
  assert.deepEqual(rows.sort(), told.sort());
});

fact("docs/schema.md shows mistakes as stentor check tells them", async (world) => {
  const shown = schema.find(/^```text\n(error: .*?)^```$/ms)[1];
  const [, line, mistaken] = shown.match(/^(\d+) \| (.*)$/m);
  const lines = schema.code("graphql").split("\n");
  lines[line - 1] = mistaken;
  const folder = await world.folder({ "schema.graphql": lines.join("\n") });
  const environment = { STENTOR_AUTH__JWT__SECRET: "a secret that is long enough for HS256" };
  assert.deepEqual(await check({ folder: folder.path, environment }), { code: 1, output: shown });
});

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

// GraphiQL, out of the program and in a real browser.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Browser } from "../harness/browser.js";
import { GraphiQL } from "../harness/graphiql.js";
import { token } from "../harness/token.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const schema = `
  type Subscription { ticked: Tick @subscribe(topic: "tick") }
  "One tick of the clock on the wall."
  type Tick { number: Int! @from(keys: ["n"]) }
`;
const event = { bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };

let browser;
before(async () => (browser = await Browser.launch()));
after(() => browser?.close());

for (const [window, viewport] of [
  ["a desktop's window", { width: 1280, height: 800 }],
  ["a narrow window", { width: 420, height: 800 }],
]) {
  fact(`in ${window} a query shows its result, and nothing comes from anywhere but the server`, async (world) => {
    const server = await serve(world);
    const graphiql = world.keep(await GraphiQL.open(browser, server.url(), viewport));
    assert.equal(await graphiql.fits(), true);
    await graphiql.write("{ asked: __typename }");
    await graphiql.run();
    await graphiql.shows('"asked": "Query"');
    const foreign = graphiql.addresses.filter((address) => new URL(address).origin !== new URL(server.url()).origin);
    assert.deepEqual(foreign, []);
    assert.ok(graphiql.addresses.some((address) => /editor\.worker.*\.js$/.test(address)), "Monaco's workers run");
    assert.deepEqual(graphiql.complaints, []);
  });
}

fact("introspection fills the documentation", async (world) => {
  const server = await serve(world);
  const graphiql = world.keep(await GraphiQL.open(browser, server.url()));
  await graphiql.openDocumentation();
  await graphiql.follow("Tick");
  await graphiql.documents("One tick of the clock on the wall.");
});

fact("with a token in its headers, GraphiQL reads the schema and subscribes", async (world) => {
  const server = await world.server();
  const graphiql = world.keep(await GraphiQL.open(browser, server.url()));
  await graphiql.run();
  await graphiql.shows('"code": "UNAUTHENTICATED"');

  await graphiql.authorize(token({ scope: "bot:view" }));
  await graphiql.fetchSchema();
  await graphiql.openDocumentation();
  await graphiql.follow("Subscription");
  await graphiql.documents("botStatusChanged");

  await graphiql.write('subscription { botStatusChanged(botId: "42") { status } }');
  await graphiql.run();
  await until(async () => (await world.redis.listeners("bot:42")) === 1, "the subscription reaches Redis");
  await world.redis.publish("bot:42", event);
  await graphiql.shows('"status": "running"');
  assert.ok(graphiql.addresses.includes(server.webSocketUrl()), "at the same address");
});

fact("GraphiQL is shown only where the configuration has it", async (world) => {
  const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
  for (const [environment, shown] of [
    [{}, true],
    [{ STENTOR_GRAPHIQL: "false" }, false],
    [{ STENTOR_GRAPHIQL: "true" }, true],
  ]) {
    const server = await serve(world, environment);
    const answer = await fetch(server.url(), { headers: { accept } });
    assert.equal(answer.headers.get("content-type"), shown ? "text/html; charset=utf-8" : "application/json; charset=utf-8");
    assert.equal(answer.status, shown ? 200 : 400);
    await answer.body.cancel();
  }
});

async function serve(world, environment = {}) {
  const folder = await world.folder({ "schema.graphql": schema });
  return world.server({ folder: folder.path, environment });
}

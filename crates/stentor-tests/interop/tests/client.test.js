// The reference client: operations of every kind on one socket, and over HTTP.

import assert from "node:assert/strict";
import { token } from "../harness/token.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const VERSION = /^\d+\.\d+\.\d+/;
const claims = { scope: "bot:view" };

fact("a query answers over the socket", async (world) => {
  const operation = world.client(await world.server()).start("{ stentor }");
  const { data } = await operation.next();
  assert.match(data.stentor, VERSION);
  assert.equal(await operation.end(), null);
});

fact("a query answers over HTTP", async (world) => {
  const response = await post(await world.server(), "{ stentor }", token());
  assert.equal(response.status, 200);
  assert.match((await response.json()).data.stentor, VERSION);
});

fact("a wrong token is 401 over HTTP", async (world) => {
  const response = await post(await world.server(), "{ stentor }", token({}, { secret: "another secret, which is long enough" }));
  assert.equal(response.status, 401);
});

fact("a hundred subscriptions on one socket each hear their own topic", async (world) => {
  const client = world.client(await world.server(), { claims });
  const ids = Array.from({ length: 100 }, (_, index) => String(index));
  const operations = await Promise.all(ids.map((id) => client.subscribe(statusOf(id))));
  await Promise.all(ids.map((id) => world.redis.publish(`bot:${id}`, bot(id, `status of ${id}`))));
  for (const [index, operation] of operations.entries()) {
    assert.deepEqual(await operation.next(), { data: { botStatusChanged: { status: `status of ${index}` } } });
    assert.equal(operation.waiting, 0);
  }
  assert.equal(client.opened, 1);
});

fact("two subscriptions of one topic each hear every event, in order", async (world) => {
  const client = world.client(await world.server(), { claims });
  const operations = await Promise.all([client.subscribe(statusOf("42")), client.subscribe(statusOf("42"))]);
  assert.equal(await world.redis.listeners("bot:42"), 1);
  const statuses = ["starting", "running", "stopped"];
  for (const status of statuses) await world.redis.publish("bot:42", bot("42", status));
  for (const operation of operations) {
    for (const status of statuses) assert.equal((await operation.next()).data.botStatusChanged.status, status);
  }
});

fact("the last unsubscribe leaves the topic and a later subscribe joins it again", async (world) => {
  const client = world.client(await world.server(), { claims });
  const keepsTheSocket = await client.subscribe(statusOf("7"));
  const first = await client.subscribe(statusOf("42"));
  first.unsubscribe();
  await until(async () => (await world.redis.listeners("bot:42")) === 0, "the topic is left");

  assert.equal(await world.redis.publish("bot:42", bot("42", "unheard")), 0);
  const second = await client.subscribe(statusOf("42"));
  await world.redis.publish("bot:42", bot("42", "heard"));
  assert.equal((await second.next()).data.botStatusChanged.status, "heard");
  assert.equal(first.waiting, 0);
  assert.equal(keepsTheSocket.waiting, 0);
  assert.equal(client.opened, 1);
});

const refusals = [
  ["a resource that the token does not open", 'subscription { botStatusChanged(botId: "42") { status } }', "FORBIDDEN"],
  ["a field that does not exist", 'subscription { botStatusChanged(botId: "7") { colour } }', "GRAPHQL_VALIDATION_FAILED"],
  ["two root fields", 'subscription { a: botStatusChanged(botId: "7") { id } b: botStatusChanged(botId: "7") { id } }', "GRAPHQL_VALIDATION_FAILED"],
  ["a document that does not parse", "subscription { ", "GRAPHQL_PARSE_FAILED"],
  ["a missing variable", "subscription ($id: ID!) { botStatusChanged(botId: $id) { id } }", "BAD_USER_INPUT"],
  ["an argument that would be a pattern", 'subscription { botStatusChanged(botId: "*") { id } }', "BAD_USER_INPUT"],
];
for (const [what, query, code] of refusals) {
  fact(`${what} is ${code} and the socket lives on`, async (world) => {
    const scope = code === "FORBIDDEN" ? "bot:7:view" : "bot:view";
    const client = world.client(await world.server(), { claims: { scope } });
    const neighbour = await client.subscribe(statusOf("7"));
    const errors = await client.start(query).end();
    assert.deepEqual([...new Set(errors.map(({ extensions }) => extensions.code))], [code]);

    await world.redis.publish("bot:7", bot("7", "running"));
    assert.equal((await neighbour.next()).data.botStatusChanged.status, "running");
    assert.equal(client.opened, 1);
  });
}

function statusOf(id) {
  return `subscription { botStatusChanged(botId: "${id}") { status } }`;
}

function bot(id, status) {
  return { type: "bot_status", bot_id: id, status, healthy: true, timestamp: "2026-01-31T12:00:00Z" };
}

function post(server, query, bearer) {
  return fetch(server.url(), {
    method: "POST",
    headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query }),
  });
}

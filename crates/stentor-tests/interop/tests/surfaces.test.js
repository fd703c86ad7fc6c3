// What operators use: checks, health, metrics, the second WebSocket address.

import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../harness/server.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const claims = { scope: "bot:view" };
const event = { bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };

test("stentor check finds no mistake in examples/trading", async () => {
  const { code, output } = await check({ example: "trading" });
  assert.equal(code, 0, output);
});

test("stentor check names the fields of examples/rag that its own program answers", async () => {
  const { code, output } = await check({ example: "rag" });
  assert.equal(code, 1, output);
  for (const field of ["Query.documents", "Mutation.ask", "Subscription.documentUpdates"]) assert.match(output, new RegExp(field));
});

fact("/healthz and /readyz answer 200, and readiness names the broker's state", async (world) => {
  const server = await world.server();
  assert.equal((await fetch(server.url("/healthz"))).status, 200);
  await until(async () => (await readiness(server)).broker.state === "up", "the broker is up");
  const { status, broker } = await readiness(server);
  assert.equal(status, "ready");
  assert.equal(broker.kind, "redis");
});

fact("/ws is a WebSocket address too", async (world) => {
  const operation = await world
    .client(await world.server(), { claims, path: "/ws" })
    .subscribe('subscription { botStatusChanged(botId: "42") { status } }');
  await world.redis.publish("bot:42", event);
  assert.equal((await operation.next()).data.botStatusChanged.status, "running");
});

fact("an event for two equal subscriptions is executed once and delivered twice", async (world) => {
  const server = await world.server();
  const documents = [
    'subscription { botStatusChanged(botId: "42") { status healthy } }',
    'subscription Same {\n  botStatusChanged(botId: "42") {\n    ...Parts\n  }\n}\nfragment Parts on Bot { status, healthy }',
  ];
  const operations = [];
  for (const document of documents) operations.push(await world.client(server, { claims }).subscribe(document));
  await world.redis.publish("bot:42", event);
  for (const operation of operations) await operation.next();

  await until(async () => (await metrics(server)).stentor_deliveries_total === 2, "both deliveries are counted");
  const now = await metrics(server);
  assert.equal(now.stentor_connections, 2);
  assert.equal(now.stentor_operations, 2);
  assert.equal(now.stentor_topics, 1);
  assert.equal(now.stentor_audiences, 1);
  assert.equal(now.stentor_events_total, 1);
  assert.equal(now.stentor_executions_total, 1);
});

async function readiness(server) {
  return (await fetch(server.url("/readyz"))).json();
}

/** Every metric's value, summed over its labels. */
async function metrics(server) {
  const text = await (await fetch(server.url("/metrics"))).text();
  const values = {};
  for (const [, name, value] of text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm)) values[name] = (values[name] ?? 0) + Number(value);
  return values;
}

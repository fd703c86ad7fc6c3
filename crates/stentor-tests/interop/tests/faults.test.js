// Restarts that an application must not notice, and losses that it must.

import assert from "node:assert/strict";
import { fact } from "../harness/world.js";

const BOT_STATUS = 'subscription { botStatusChanged(botId: "42") { status } }';
const event = { bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };
const result = { botStatusChanged: { status: "running" } };
const claims = { scope: "bot:view" };

fact("a restarted server gets its clients and their subscriptions back", async (world) => {
  let serverIsBack;
  const back = new Promise((resolve) => (serverIsBack = resolve));
  const old = await world.server();
  // The client's own pause is random; waiting for the new server instead makes this test exact.
  const client = world.client(old, { claims, options: { retryWait: () => back } });
  const operation = await client.subscribe(BOT_STATUS);

  const exitCode = world.stop(old);
  assert.equal(await client.closes.take("the draining server closes the socket"), 1012);
  assert.equal(await exitCode, 0);
  await world.server({ port: old.port });
  serverIsBack();

  await operation.live(2);
  await world.redis.publish("bot:42", event);
  assert.deepEqual(await operation.next(), { data: result });
  assert.equal(client.opened, 2);
});

fact("a restart of Redis is told to a quiet subscription once, and events go on", async (world) => {
  const client = world.client(await world.server(), { claims, options: { generateID: () => "quiet" } });
  const operation = await client.subscribe(BOT_STATUS);
  await world.redis.restart();

  const { stentor } = await client.pings.take("the gap");
  assert.deepEqual(stentor, { gap: { id: "quiet", dropped: null, reason: "BROKER_RECONNECT" } });
  await world.redis.publish("bot:42", event);
  assert.deepEqual(await operation.next(), { data: result });
  assert.equal(client.opened, 1);
});

fact("a restart of Redis is told to every subscription of a socket", async (world) => {
  const ids = ["first", "second", "third"];
  const unused = [...ids];
  const client = world.client(await world.server(), { claims, options: { generateID: () => unused.shift() } });
  const operations = [];
  for (const botId of ["1", "2", "2"]) {
    operations.push(await client.subscribe(`subscription { botStatusChanged(botId: "${botId}") { status } }`));
  }
  await world.redis.restart();

  const told = [];
  for (const _ of ids) told.push((await client.pings.take("a gap")).stentor.gap.id);
  assert.deepEqual(told.sort(), ids);
  for (const operation of operations) assert.equal(operation.waiting, 0);
});

fact("while Redis is away for long a socket stays, and its subscription is told of both switches", async (world) => {
  const server = await world.server({ environment: { STENTOR_BROKER__FALLBACK_AFTER: "100ms" } });
  const client = world.client(server, { claims, options: { generateID: () => "patient" } });
  const operation = await client.subscribe(BOT_STATUS);
  const failover = { gap: { id: "patient", dropped: null, reason: "FAILOVER" } };

  await world.redis.kill();
  assert.deepEqual((await client.pings.take("the switch to memory")).stentor, failover);
  await world.redis.resume();
  assert.deepEqual((await client.pings.take("the switch back")).stentor, failover);
  await world.redis.publish("bot:42", event);
  assert.deepEqual(await operation.next(), { data: result });
  assert.equal(client.opened, 1);
});

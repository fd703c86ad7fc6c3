// Two servers on one Redis are one system.

import assert from "node:assert/strict";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const BOT_STATUS = 'subscription { botStatusChanged(botId: "42") { status } }';
const claims = { scope: "bot:view" };

fact("clients of either node hear every publisher, and a topic costs one channel subscription per node", async (world) => {
  const nodes = [await world.server(), await world.server()];
  const operations = [];
  for (const node of [nodes[0], nodes[0], nodes[0], nodes[1], nodes[1]]) {
    operations.push(await world.client(node, { claims }).subscribe(BOT_STATUS));
  }
  assert.equal(await world.redis.listeners("bot:42"), 2);
  assert.equal(await world.redis.cli("PUBSUB", "NUMPAT"), "0");

  for (const status of ["starting", "running"]) {
    const receivers = await world.redis.publish("bot:42", { bot_id: "42", status, healthy: true, timestamp: "now" });
    assert.equal(receivers, 2);
    for (const operation of operations) {
      assert.deepEqual(await operation.next(), { data: { botStatusChanged: { status } } });
    }
  }
});

fact("a node that stops leaves the other's clients alone", async (world) => {
  const [leaving, staying] = [await world.server(), await world.server()];
  await world.client(leaving, { claims, options: { retryAttempts: 0 } }).subscribe(BOT_STATUS);
  const client = world.client(staying, { claims });
  const operation = await client.subscribe(BOT_STATUS);

  assert.equal(await world.stop(leaving), 0);
  await until(async () => (await world.redis.listeners("bot:42")) === 1, "Redis notices that one node has left");
  await world.redis.publish("bot:42", { bot_id: "42", status: "running", healthy: true, timestamp: "now" });
  assert.deepEqual(await operation.next(), { data: { botStatusChanged: { status: "running" } } });
  assert.equal(client.opened, 1);
});

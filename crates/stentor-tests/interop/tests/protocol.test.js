// What clients rely on besides operations: subprotocol, pings, acknowledgements, close codes.

import assert from "node:assert/strict";
import { token } from "../harness/token.js";
import { Inbox } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const BOT_STATUS = 'subscription { botStatusChanged(botId: "42") { status } }';
const event = { bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };
const claims = { scope: "bot:view" };

fact("a socket without the subprotocol opens and is closed 4406", async (world) => {
  const socket = await world.socket(await world.server(), { protocols: [] });
  assert.equal((await socket.closed()).code, 4406);
});

fact("a client's ping is answered before and after connection_init", async (world) => {
  const socket = await world.socket(await world.server());
  socket.send({ type: "ping" });
  assert.equal((await socket.next()).type, "pong");
  assert.equal((await socket.init()).type, "connection_ack");
  socket.send({ type: "ping", payload: { seq: 7 } });
  assert.equal((await socket.next()).type, "pong");
});

fact("the reference client hears pongs for the pings that keep it alive", async (world) => {
  const pongs = new Inbox();
  const on = { pong: (received) => received && pongs.put("pong") };
  const client = world.client(await world.server(), { claims, options: { keepAlive: 50, on } });
  await client.subscribe(BOT_STATUS);
  await pongs.take("the first pong");
  await pongs.take("the second pong");
});

fact("the reference client lives through the server's pings", async (world) => {
  const server = await world.server({
    environment: { STENTOR_WEBSOCKET__PING_INTERVAL: "1s", STENTOR_WEBSOCKET__PONG_TIMEOUT: "1s" },
  });
  const client = world.client(server, { claims });
  const operation = await client.subscribe(BOT_STATUS);
  for (const which of ["first", "second", "third"]) await client.pings.take(`the ${which} ping`);
  await world.redis.publish("bot:42", event);
  assert.equal((await operation.next()).data.botStatusChanged.status, "running");
  assert.equal(client.opened, 1);
});

fact("ackId comes back in a ping once the subscription is live", async (world) => {
  const socket = await world.socket(await world.server());
  assert.deepEqual(await socket.init(claims), { type: "connection_ack" });
  socket.send({ id: "1", type: "subscribe", payload: { query: BOT_STATUS, extensions: { ackId: "a1" } } });
  assert.deepEqual(await socket.next(), { type: "ping", payload: { ackId: "a1" } });
  socket.send({ type: "pong", payload: { ackId: "a1" } });
  assert.equal(await world.redis.publish("bot:42", event), 1);
  assert.deepEqual(await socket.next(), {
    id: "1",
    type: "next",
    payload: { data: { botStatusChanged: { status: "running" } } },
  });
});

const spellings = [
  ["Authorization", (value) => ({ Authorization: value })],
  ["authorization", (value) => ({ authorization: value })],
  ["authToken", (value) => ({ authToken: value })],
  ["token", (value) => ({ token: value })],
  ["headers.Authorization", (value) => ({ headers: { Authorization: value } })],
];
for (const [key, params] of spellings) {
  for (const scheme of ["", "Bearer "]) {
    fact(`connectionParams may carry the token as ${key} with "${scheme}" before it`, async (world) => {
      const options = { connectionParams: () => params(scheme + token(claims)) };
      await world.client(await world.server(), { options }).subscribe(BOT_STATUS);
    });
  }
}

const refusals = [
  ["subscribe before connection_init", [{ id: "1", type: "subscribe", payload: { query: BOT_STATUS } }], 4401],
  ["a message that is not JSON", ["hello"], 4400],
  ["a connection_init without a token", [{ type: "connection_init" }], 4403],
];
for (const [what, messages, code] of refusals) {
  fact(`${what} closes ${code}`, async (world) => {
    const socket = await world.socket(await world.server());
    messages.forEach((message) => socket.send(message));
    assert.equal((await socket.closed()).code, code);
  });
}

// `stentor publish` against servers and clients that know nothing of it.

import assert from "node:assert/strict";
import { fact } from "../harness/world.js";

const BOT_STATUS = 'subscription { botStatusChanged(botId: "42") { status } }';
const event = (status) => JSON.stringify({ bot_id: "42", status, healthy: true, timestamp: "2026-01-31T12:00:00Z" });
const result = (status) => ({ data: { botStatusChanged: { status } } });
const environment = { STENTOR_BROKER__PREFIX: "stage:" };

fact("an event that stentor publish sends behind the prefix reaches a subscriber", async (world) => {
  const operation = await subscribed(world);
  const told = await world.told(["publish", "bot:42", event("running")], { environment });
  assert.equal(told, "published 1 event to bot:42\n");
  assert.deepEqual(await operation.next(), result("running"));
});

fact("standard input is one event, or with --lines one for each line that is not empty", async (world) => {
  const operation = await subscribed(world);
  const whole = await world.told(["publish", "bot:42", "-"], { environment, input: `${event("one")}\n` });
  assert.equal(whole, "published 1 event to bot:42\n");
  const lines = `${event("two")}\n\n${event("three")}\r\n${event("four")}`;
  const told = await world.told(["publish", "bot:42", "-", "--lines", "--json"], { environment, input: lines });
  assert.deepEqual(JSON.parse(told), { topic: "bot:42", published: 3 });
  for (const status of ["one", "two", "three", "four"]) assert.deepEqual(await operation.next(), result(status));
});

fact("a line that is not JSON ends --lines, which tells the line and what was published before it", async (world) => {
  const operation = await subscribed(world);
  const input = `${event("good")}\n{"bot_id": }\n${event("never")}\n`;
  const told = await world.told(["publish", "bot:42", "--lines"], { environment, input, code: 1 });
  assert.match(told, /^line 2: the payload is not JSON: expected value at line 1 column 12$/m);
  assert.match(told, /^published before it: 1 event$/m);
  assert.deepEqual(await operation.next(), result("good"));
  assert.equal(operation.waiting, 0);
});

fact("--hash writes fields behind the prefix and keeps the others", async (world) => {
  await world.told(["publish", "--hash", "progress:1", "stage=received", "progress=0"], { environment });
  const told = await world.told(["publish", "--hash", "progress:1", "stage=a=b", "message="], { environment });
  assert.equal(told, "wrote 2 fields of progress:1\n");
  const fields = (await world.redis.cli("HGETALL", "stage:progress:1")).split("\n");
  assert.deepEqual(fields, ["stage", "a=b", "progress", "0", "message"]);
});

fact("text that looks like JSON is sent as it is with --text", async (world) => {
  await world.told(["publish", "bot:42", "{not json", "--text"], { environment });
  const refused = await world.told(["publish", "bot:42", "{not json"], { environment, code: 1 });
  assert.match(refused, /--text/);
});

/** The reference client, live on the topic. */
async function subscribed(world) {
  const server = await world.server({ environment });
  return world.client(server, { claims: { scope: "bot:view" } }).subscribe(BOT_STATUS);
}

// What a browser lets its pages see: close codes with their reasons, and answers to pages of the right origin only.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Browser } from "../harness/browser.js";
import { token } from "../harness/token.js";
import { until } from "../harness/wait.js";
import { Witness } from "../harness/witness.js";
import { fact } from "../harness/world.js";

const query = 'subscription { botStatusChanged(botId: "42") { status } }';
const event = { bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };
const result = { data: { botStatusChanged: { status: "running" } } };
const hello = () => ({ Authorization: `Bearer ${token({ scope: "bot:view" })}` });

let browser;
before(async () => (browser = await Browser.launch()));
after(() => browser?.close());

fact("a page that offers another subprotocol sees 4406 and its reason", async (world) => {
  const { page, url } = await visit(world, "127.0.0.1");
  const seen = await page.socket(url, { protocols: ["graphql-ws"] });
  assert.deepEqual(seen, { opened: true, code: 4406, reason: "Subprotocol not acceptable" });
});

fact("a page that offers no subprotocol sees 4406 and its reason", async (world) => {
  const { page, url } = await visit(world, "127.0.0.1");
  const seen = await page.socket(url, { protocols: [] });
  assert.deepEqual(seen, { opened: true, code: 4406, reason: "Subprotocol not acceptable" });
});

fact("a page with a wrong token sees 4403 and why", async (world) => {
  const { page, url } = await visit(world, "127.0.0.1");
  const wrong = token({}, { secret: "another secret, which is long enough" });
  const seen = await page.socket(url, { hello: { token: wrong } });
  assert.deepEqual(seen, { opened: true, code: 4403, reason: "the signature of the token does not match" });
});

for (const host of ["127.0.0.1", "localhost"]) {
  fact(`a page of ${host} receives an event from a server at 127.0.0.1`, async (world) => {
    const { page, url } = await visit(world, host);
    await receive(world, page, url);
  });
}

fact("a page of another host is refused, whatever its token, unless the configuration lists its origin", async (world) => {
  const { page, url } = await visit(world, "127.0.0.2");
  const seen = await page.socket(url, { hello: hello(), query });
  assert.deepEqual(seen, { opened: false, code: 1006, reason: "" });

  const listed = await world.server({ environment: { STENTOR_ALLOWED_ORIGINS: page.origin } });
  await receive(world, page, listed.webSocketUrl());
});

fact("a page of localhost may ask over HTTP, and one of another host cannot read the answer", async (world) => {
  const server = await world.server();
  const ask = { token: token(), query: "{ __typename }" };
  const near = world.keep(await browser.page("localhost"));
  assert.deepEqual(await near.post(server.url(), ask), { data: { __typename: "Query" } });
  const foreign = world.keep(await browser.page("127.0.0.2"));
  assert.equal(await foreign.post(server.url(), ask), "TypeError");
});

fact("nothing that a page of another host sends without asking is run", async (world) => {
  const folder = await world.folder({ "schema.graphql": "type Subscription { tick: Int @subscribe(topic: \"tick\") }" });
  const server = await world.server({ folder: folder.path });
  const witness = world.keep(await Witness.before(server));
  const page = world.keep(await browser.page("127.0.0.2"));
  const posts = ["form", "form with files", "form of text", "fetch of text", "fetch without a type", "beacon"];
  for (const means of [...posts, "image", "script", "frame", "fetch by GET"]) {
    await page.sendUnasked(witness.url(), means);
    assert.equal(await witness.status(`the answer to ${means}`), 403, means);
  }
});

/** A page at `host`, and the address of a server at 127.0.0.1. */
async function visit(world, host) {
  const server = await world.server();
  const page = world.keep(await browser.page(host));
  return { page, url: server.webSocketUrl() };
}

async function receive(world, page, url) {
  const seen = page.socket(url, { hello: hello(), query });
  await until(async () => (await world.redis.listeners("bot:42")) === 1, "the page's subscription reaches Redis");
  await world.redis.publish("bot:42", event);
  assert.deepEqual(await seen, { opened: true, result, code: 1000, reason: "" });
}

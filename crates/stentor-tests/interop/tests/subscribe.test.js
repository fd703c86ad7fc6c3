// `stentor subscribe` against real servers.

import assert from "node:assert/strict";
import { fact } from "../harness/world.js";

const BOT_STATUS = 'subscription { botStatusChanged(botId: "42") { status } }';
const event = (status) => JSON.stringify({ bot_id: "42", status, healthy: true, timestamp: "2026-01-31T12:00:00Z" });
const AUTH = { STENTOR_AUTH__JWT__SECRET: "a secret of 32 bytes, or of more", STENTOR_AUTH__JWT__AUDIENCE: "stentor" };

fact("stentor token, subscribe and publish do together what they say", async (world) => {
  const server = await world.server({ environment: AUTH });
  const token = (await world.told(["token", "--scope", "bot:view"], { environment: AUTH })).trim();
  const environment = { STENTOR_TOKEN: token };
  const watching = world.stentor(["subscribe", BOT_STATUS, "--url", server.webSocketUrl(), "--count", "2", "--json"], { environment });
  await watching.printed(/^live:/m);
  for (const status of ["running", "stopped"]) await world.told(["publish", "bot:42", event(status)], { environment });
  assert.equal(await watching.ended(), 0);
  const line = (status) => `{"data":{"botStatusChanged":{"status":"${status}"}}}\n`;
  assert.equal(watching.stdout, line("running") + line("stopped"));
});

fact("people see results with their time, and Ctrl-C ends it with success", async (world) => {
  const { watching } = await watch(world, BOT_STATUS);
  await world.redis.publish("bot:42", event("run\u009bning"));
  await watching.printed(/^\d\d:\d\d:\d\d\.\d{3}Z \{\n  "botStatusChanged": \{\n    "status": "run\\u009bning"\n  \}\n\}$/m);
  assert.equal(await watching.end("SIGINT"), 0);
});

fact("a restarted server gets its subscription back, and both are told", async (world) => {
  const { watching, server } = await watch(world, BOT_STATUS);
  await world.stop(server);
  await watching.printed(/^the server restarts \(1012.*connecting again in \d\.\d s \(attempt 1 of 5\)$/m);
  await world.server({ port: server.port });
  await watching.printed(/^connected again; what was published meanwhile is missing\nlive:/m);
  await world.redis.publish("bot:42", event("back"));
  await watching.printed(/"status": "back"/);
});

fact("a restart of Redis is shown as a gap", async (world) => {
  const { watching } = await watch(world, BOT_STATUS);
  await world.redis.restart();
  await watching.printed(/^\S+Z gap: nobody knows how many events were lost here \((BROKER_RECONNECT|FAILOVER)\)$/m);
});

fact("what fails for good ends with 1, the reason and what to do", async (world) => {
  const server = await world.server();
  const url = ["--url", server.webSocketUrl()];
  const failed = async (...args) => world.told(["subscribe", ...args], { code: 1 });
  assert.match(await failed(BOT_STATUS, ...url), /\(4403: a token is needed and none was sent\)\npass a token with --token/);
  assert.match(await failed(BOT_STATUS, ...url, "--token", "x"), /4403/);
  assert.match(await failed(BOT_STATUS, "--url", server.webSocketUrl("/nowhere")), /HTTP 404.*\/graphql/);
  assert.match(await failed(BOT_STATUS, "--url", `ws://127.0.0.1:${world.redis.port}/`), /opens no WebSocket|handshake/);
  const token = ["--token", (await issued(world)).trim()];
  assert.match(await failed("subscription { nothing }", ...url, ...token), /nothing.*\(GRAPHQL_VALIDATION_FAILED\)/);
  assert.match(await failed(BOT_STATUS, ...url, ...token, "--count", "1", "--timeout", "50ms"), /the time is over after 0 of 1 results/);
});

fact("the document comes from a file or standard input, with variables and the operation's name", async (world) => {
  const server = await world.server();
  const document = `query Version { __typename } subscription Bot($id: ID!) { botStatusChanged(botId: $id) { status } }`;
  const folder = await world.folder({ "bot.graphql": document });
  const url = ["--url", server.webSocketUrl(), "--token", (await issued(world)).trim(), "--json"];
  const query = await world.told(["subscribe", "-", ...url, "--operation-name", "Version"], { input: document });
  assert.equal(query, '{"data":{"__typename":"Query"}}\n');
  const args = ["@bot.graphql", ...url, "--operation-name", "Bot", "--variables", '{"id": "42"}', "--count", "1"];
  const watching = world.stentor(["subscribe", ...args], { folder });
  await watching.printed(/^live:/m);
  await world.redis.publish("bot:42", event("named"));
  assert.equal(await watching.ended(), 0);
  assert.equal(watching.stdout, '{"data":{"botStatusChanged":{"status":"named"}}}\n');
});

/** The program, live on a server of the trading example. */
async function watch(world, query) {
  const server = await world.server();
  const environment = { STENTOR_TOKEN: (await issued(world)).trim() };
  const watching = world.stentor(["subscribe", query, "--url", server.webSocketUrl()], { environment });
  await watching.printed(/^live:/m);
  return { watching, server };
}

/** A token that the trading example's server accepts. */
async function issued(world) {
  return world.told(["token", "--scope", "bot:view", "--config", world.config]);
}

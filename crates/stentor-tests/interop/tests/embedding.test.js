// The service that docs/embedding.md begins with.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { Page } from "../harness/page.js";
import { fact } from "../harness/world.js";

test("the page shows the program that is compiled", () => {
  const program = readFileSync(new URL("../../../stentor/examples/embedding.rs", import.meta.url), "utf8");
  assert.equal(new Page("docs/embedding.md").code("rust,no_run"), program);
});

fact("its mutation is an event for those who subscribe, below the path it is mounted at", async (world) => {
  const server = await world.server({ example: "embedding", embedded: true, broker: "" });
  assert.equal(await (await fetch(server.url("/"))).text(), "your service\n");
  const client = createClient({ url: server.webSocketUrl("/api/graphql"), webSocketImpl: WebSocket });
  world.keep({ close: () => client.dispose() });
  const events = client.iterate({ query: 'subscription { botChanged(id: "42") { id status } }', extensions: { ackId: "1" } });
  const live = new Promise((resolve) => client.on("ping", (received, payload) => received && payload?.ackId === "1" && resolve()));
  const event = events.next();
  await live;

  const body = JSON.stringify({ query: 'mutation { setStatus(id: "42", status: "running") { id } }' });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(server.url("/api/graphql"), { method: "POST", headers, body });
  assert.deepEqual(await answer.json(), { data: { setStatus: { id: "42" } } });
  assert.deepEqual((await event).value, { data: { botChanged: { id: "42", status: "running" } } });
});

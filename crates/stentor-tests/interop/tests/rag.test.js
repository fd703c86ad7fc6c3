// The document assistant's own program: its three fields, who may hear them, and services in Python beside it.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Browser } from "../harness/browser.js";
import { pythonPublisher, STAGES } from "../harness/python.js";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const timestamp = "2026-01-31T12:00:00Z";
const ann = { sub: "ann", tenant_id: "t1" };
const bob = { sub: "bob", tenant_id: "t2" };

const DOCUMENTS = "subscription ($tenant: String!) { documentUpdates(tenantId: $tenant) { documentId filename status updatedAt } }";
const PROGRESS = "subscription ($id: ID!) { queryProgress(queryId: $id) { queryId stage progress message } }";
const CHAT = "subscription ($id: ID!) { chatUpdates(sessionId: $id) { id messageId sessionId role content timestamp } }";
const UPLOAD = 'mutation ($tenant: String!) { uploadDocument(tenantId: $tenant, filename: "a.pdf") { id status } }';
const DELETE = "mutation ($tenant: String!, $id: ID!) { deleteDocument(tenantId: $tenant, documentId: $id) { status } }";
const ASK = 'mutation { ask(question: "What is new?") }';

let browser;
before(async () => (browser = await Browser.launch()));
after(() => browser?.close());

// The same on both brokers: in this process's memory, where only the example publishes, and on Redis.
for (const broker of ["memory", "redis"]) {
  fact(`on ${broker}, a document is seen from its upload to its deletion`, async (world) => {
    const client = world.client(await rag(world, broker), { claims: ann });
    const updates = await client.subscribe(DOCUMENTS, { tenant: "t1" });
    const { uploadDocument: document } = await answer(client, UPLOAD, { tenant: "t1" });
    assert.equal(document.status, "uploaded");
    for (const status of ["uploaded", "indexing", "ready"]) assert.deepEqual(await update(updates), [document.id, "a.pdf", status]);
    await answer(client, DELETE, { tenant: "t1", id: document.id });
    assert.deepEqual(await update(updates), [document.id, "a.pdf", "deleted"]);
  });

  fact(`on ${broker}, a question is seen through its stages, and its last one completes`, async (world) => {
    const client = world.client(await rag(world, broker), { claims: ann });
    const { ask: id } = await answer(client, ASK);
    const progress = await client.subscribe(PROGRESS, { id });
    let last = -1;
    for (;;) {
      const { queryId, stage, progress: far, message } = (await progress.next()).data.queryProgress;
      assert.equal(queryId, id);
      assert.match(message, /What is new\?$/);
      assert.ok(far > last, `${stage} is further than ${last}`);
      last = far;
      if (stage === "completed") break;
    }
    assert.equal(last, 1);
    assert.equal(await progress.end(), null);
  });

  fact(`on ${broker}, both sides of a conversation are heard in their order`, async (world) => {
    const client = world.client(await rag(world, broker), { claims: ann });
    const { startChat: id } = await answer(client, "mutation { startChat }");
    const chat = await client.subscribe(CHAT, { id });
    await answer(client, 'mutation ($id: ID!) { say(sessionId: $id, content: "Hello") { id } }', { id });
    for (const role of ["user", "assistant"]) {
      const message = (await chat.next()).data.chatUpdates;
      assert.deepEqual([message.sessionId, message.role], [id, role]);
      assert.match(message.content, /Hello/);
    }
  });
}

fact("services in Python publish what the example's fields carry", async (world) => {
  const client = world.client(await rag(world, "redis"), { claims: ann });
  const publisher = pythonPublisher(world);

  const { uploadDocument: document } = await answer(client, UPLOAD, { tenant: "t1" });
  const updates = await client.subscribe(DOCUMENTS, { tenant: "t1" });
  publisher.document("t1", document.id);
  assert.equal((await update(updates))[0], document.id);

  // An id of one's own that the example itself writes nothing about.
  const { startChat: id } = await answer(client, "mutation { startChat }");
  const progress = await client.subscribe(PROGRESS, { id });
  for (const [stage, far, message] of STAGES) {
    publisher.progress(id, stage, far, message);
    const queryProgress = { queryId: id, stage, progress: Number(far), message };
    assert.deepEqual(await progress.next(), { data: { queryProgress } });
  }
  assert.equal(await progress.end(), null);

  const chat = await client.subscribe(CHAT, { id });
  const said = { message_id: "m1", session_id: id, role: "assistant", content: "Ω \"quoted\"\n🚀", timestamp };
  await world.redis.publish(`chat:${id}`, { ...said, session_id: "another" });
  await world.redis.publish(`chat:${id}`, said);
  const chatUpdates = { id: "m1", messageId: "m1", sessionId: id, role: "assistant", content: said.content, timestamp };
  assert.deepEqual(await chat.next(), { data: { chatUpdates } });
});

fact("nobody hears of another tenant, another's question or another's conversation", async (world) => {
  const server = await rag(world, "redis");
  const own = world.client(server, { claims: ann });
  const foreign = world.client(server, { claims: bob });
  const { ask: id } = await answer(own, ASK);
  for (const [query, variables] of [
    [DOCUMENTS, { tenant: "t1" }],
    [PROGRESS, { id }],
    [CHAT, { id }],
    [UPLOAD, { tenant: "t1" }],
    ['mutation ($id: ID!) { say(sessionId: $id, content: "Hello") { id } }', { id }],
  ]) {
    const [error] = await foreign.start(query, variables).end();
    assert.equal(error.extensions.code, "FORBIDDEN", query);
  }
});

fact("the id of another tenant's document is nothing that a tenant hears of", async (world) => {
  const server = await rag(world, "redis");
  const [own, foreign] = [world.client(server, { claims: ann }), world.client(server, { claims: bob })];
  const { uploadDocument: theirs } = await answer(foreign, UPLOAD, { tenant: "t2" });
  const { uploadDocument: mine } = await answer(own, UPLOAD, { tenant: "t1" });
  const updates = await own.subscribe(DOCUMENTS, { tenant: "t1" });
  await world.redis.publish("documents:t1", theirs.id);
  await world.redis.publish("documents:t1", mine.id);
  assert.equal((await update(updates))[0], mine.id);
});

fact("the page shows documents, a question's progress and a conversation", async (world) => {
  const server = await rag(world, "memory");
  const page = await browser.window({ width: 900, height: 700 });
  await page.goto(server.url("/"));
  await until(async () => (await page.textContent("#state")) === "connected", "the page is connected");
  await page.click("#say button");
  await page.click("#ask button");
  await until(async () => (await page.textContent("#stage")).startsWith("completed"), "the question is answered");
  for (const text of ["user", "assistant"]) assert.match(await page.textContent("#chat"), new RegExp(text));
  await until(async () => (await page.textContent("#documents")).includes("report-"), "a document is shown");
});

/** The example's program. In memory it has no Redis to speak to. */
function rag(world, broker) {
  return world.server({ example: "rag", embedded: true, ...(broker === "memory" && { broker: "" }) });
}

/** The data of a query or mutation. */
async function answer(client, query, variables) {
  const { data, errors } = await client.start(query, variables).next();
  assert.equal(errors, undefined);
  return data;
}

async function update(updates) {
  const { documentId, filename, status, updatedAt } = (await updates.next()).data.documentUpdates;
  assert.ok(Date.parse(updatedAt), updatedAt);
  return [documentId, filename, status];
}

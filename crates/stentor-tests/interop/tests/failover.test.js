// Two nodes, a process each, through the whole life of a Redis: absent, there, killed, back, standing still, going on.

import assert from "node:assert/strict";
import { until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

const WATCH = 'subscription { botChanged(id: "42") { status } }';
const FAILOVER = { dropped: null, reason: "FAILOVER" };

fact("two nodes are one with Redis and two without, no socket closes, and every switch is told at its place", async (world) => {
  await world.redis.kill();
  const nodes = [];
  for (const name of ["a", "b"]) nodes.push(await Node.start(world, name));
  const [a, b] = nodes;

  const apart = async (words) => {
    for (const node of nodes) await node.isIn("fallback");
    for (const node of nodes) await node.publish(`${words} at ${node.name}`);
    for (const node of nodes) await node.hears(`${words} at ${node.name}`);
  };
  const together = async (words) => {
    for (const node of nodes) await node.isIn("up");
    for (const node of nodes) {
      await node.publish(`${words} at ${node.name}`);
      for (const other of nodes) await other.hears(`${words} at ${node.name}`);
    }
  };
  const told = async () => {
    for (const node of nodes) await node.isToldOfAFailover();
  };

  await apart("before there is a Redis");
  await world.redis.resume();
  await told();
  await together("with Redis");

  await world.redis.kill();
  await told();
  await apart("after Redis was killed");
  await world.redis.resume();
  await told();
  await together("after it came back");

  world.redis.freeze();
  await told();
  await apart("while Redis stands still");
  world.redis.thaw();
  await told();
  await together("after it went on");

  for (const node of nodes) assert.equal(node.client.opened, 1, "one socket is enough");
  assert.deepEqual([a.operation.waiting, b.operation.waiting], [0, 0], "nothing came twice, and nothing of another's fallback");
});

fact("a publish in the time between the loss and the fallback fails, and nobody hears of it later", async (world) => {
  const node = await Node.start(world, "a", { STENTOR_BROKER__FALLBACK_AFTER: "4s" });
  await node.isIn("up");
  await world.redis.kill();
  await node.isIn("down");
  const { errors } = await node.mutate("lost");
  assert.equal(errors[0].extensions.code, "UNAVAILABLE");
  await node.isToldOfAFailover();
  await node.publish("found");
  await node.hears("found");
  assert.equal(node.operation.waiting, 0);
});

/** The service of docs/embedding.md, which publishes what its mutation is told, with a client that listens to it. */
class Node {
  name;
  client;
  operation;
  #server;

  static async start(world, name, environment = {}) {
    const node = new Node();
    node.name = name;
    environment = { STENTOR_BROKER__FALLBACK_AFTER: "200ms", ...environment };
    node.#server = await world.server({ example: "embedding", embedded: true, environment });
    node.client = world.client(node.#server, { path: "/api/graphql" });
    node.operation = await node.client.subscribe(WATCH);
    return node;
  }

  async isIn(state) {
    const ready = async () => (await (await fetch(this.#server.url("/api/readyz"))).json()).broker.state;
    await until(async () => (await ready()) === state, `node ${this.name} says ${state}`);
  }

  async mutate(status) {
    const query = 'mutation ($status: String!) { setStatus(id: "42", status: $status) { status } }';
    const body = JSON.stringify({ query, variables: { status } });
    const headers = { "content-type": "application/json" };
    return (await fetch(this.#server.url("/api/graphql"), { method: "POST", headers, body })).json();
  }

  async publish(status) {
    assert.deepEqual(await this.mutate(status), { data: { setStatus: { status } } });
  }

  async hears(status) {
    assert.deepEqual(await this.operation.next(), { data: { botChanged: { status } } });
  }

  /** In a ping, as no result comes along that could bear it. */
  async isToldOfAFailover() {
    const { dropped, reason } = (await this.client.pings.take(`node ${this.name} tells of a switch`)).stentor.gap;
    assert.deepEqual({ dropped, reason }, FAILOVER);
  }
}

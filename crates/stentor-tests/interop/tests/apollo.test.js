// Apollo Client 4 with GraphQLWsLink, as a dashboard uses it.

import assert from "node:assert/strict";
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { token } from "../harness/token.js";
import { Inbox, until } from "../harness/wait.js";
import { fact } from "../harness/world.js";

globalThis.WebSocket = WebSocket; // the link looks for the browser's; Node 20 has none

const BOT_STATUS = gql`
  subscription BotStatus($botId: ID!) {
    botStatusChanged(botId: $botId) {
      id
      status
      error
    }
  }
`;
const event = { type: "bot_status", bot_id: "42", status: "running", healthy: true, timestamp: "2026-01-31T12:00:00Z" };
const result = { botStatusChanged: { __typename: "Bot", id: "42", status: "running", error: null } };

fact("Apollo Client receives events of a subscription with a variable", async (world) => {
  const server = await world.server();
  const { apollo } = connect(world, server, () => ({ authToken: `Bearer ${token({ scope: "bot:view" })}` }));
  const results = listen(apollo);
  await until(async () => (await world.redis.listeners("bot:42")) === 1, "the subscription reaches Redis");
  await world.redis.publish("bot:42", event);
  assert.deepEqual((await results.take("a result")).data, result);
});

fact("a refused token is asked for again and the subscription works", async (world) => {
  const server = await world.server();
  const tokens = [token({ scope: "bot:view" }, { secret: "another secret, which is long enough" }), token({ scope: "bot:view" })];
  const asked = [];
  const { apollo, closes } = connect(world, server, () => {
    asked.push(tokens[asked.length]);
    return { authToken: `Bearer ${asked.at(-1)}` };
  });
  const results = listen(apollo);
  assert.equal(await closes.take("the first socket closes"), 4403);
  await until(async () => (await world.redis.listeners("bot:42")) === 1, "the subscription reaches Redis");
  assert.deepEqual(asked, tokens);
  await world.redis.publish("bot:42", event);
  assert.deepEqual((await results.take("a result")).data, result);
});

fact("Apollo Client is told FORBIDDEN as the error of the operation", async (world) => {
  const server = await world.server();
  const { apollo } = connect(world, server, () => ({ token: token({ scope: "bot:43:view" }) }));
  const { error } = await listen(apollo).take("a result");
  assert.deepEqual(error.errors.map(({ extensions }) => extensions.code), ["FORBIDDEN"]);
});

function connect(world, server, connectionParams) {
  const closes = new Inbox();
  const client = createClient({
    url: server.webSocketUrl(),
    connectionParams,
    retryWait: async () => {}, // the client's own pause, seconds long, proves nothing about the server
    on: { closed: ({ code }) => closes.put(code) },
  });
  const apollo = new ApolloClient({ link: new GraphQLWsLink(client), cache: new InMemoryCache() });
  world.keep({
    close() {
      apollo.stop();
      client.dispose();
    },
  });
  return { apollo, closes };
}

function listen(apollo) {
  const results = new Inbox();
  const observable = apollo.subscribe({ query: BOT_STATUS, variables: { botId: "42" } });
  observable.subscribe({ next: (value) => results.put(value), error: (error) => results.put({ error }) });
  return results;
}

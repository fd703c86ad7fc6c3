// Services in Python publish with redis-py, which knows nothing of Stentor.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fact } from "../harness/world.js";

const python = fileURLToPath(new URL("../.venv/bin/python", import.meta.url));
const publisher = fileURLToPath(new URL("../harness/publisher.py", import.meta.url));

const schema = `
type Subscription {
  queryProgress(queryId: ID!): QueryProgress!
    @subscribe(hash: "progress:{{ args.queryId }}", until: "event.stage == 'completed'", idleTimeout: "10m")
  documentUpdates(tenantId: String!): ID! @subscribe(topic: "documents:{{ args.tenantId }}")
}
type QueryProgress { queryId: ID! @from(argument: "queryId")  stage: String!  progress: Float!  message: String! }
`;

const STAGES = [
  ["received", "0.0", "Query accepted"],
  ["retrieving", "0.25", "Fetching documents"],
  ["reranking", "0.5", "Reordering results"],
  ["generating", "0.75", "Generating answer"],
  ["completed", "1.0", "Answer ready"],
];

fact("the five stages that redis-py writes arrive as numbers and texts, and the last completes", async (world) => {
  const folder = await world.folder({ "schema.graphql": schema });
  const server = await world.server({ folder: folder.path });
  const query = 'subscription { queryProgress(queryId: "7") { queryId stage progress message } }';
  const operation = await world.client(server).subscribe(query);
  for (const [stage, progress, message] of STAGES) {
    say(world, "progress", "7", stage, progress, message);
    const queryProgress = { queryId: "7", stage, progress: Number(progress), message };
    assert.deepEqual(await operation.next(), { data: { queryProgress } });
  }
  assert.equal(await operation.end(), null);
});

fact("the bare id that redis-py publishes is the value of the field", async (world) => {
  const folder = await world.folder({ "schema.graphql": schema });
  const server = await world.server({ folder: folder.path });
  const operation = await world.client(server).subscribe('subscription { documentUpdates(tenantId: "t1") }');
  say(world, "document", "t1", "doc-42");
  assert.deepEqual(await operation.next(), { data: { documentUpdates: "doc-42" } });
});

/** Lets the Python program do one thing, and waits until it has. */
function say(world, ...words) {
  execFileSync(python, [publisher, String(world.redis.port)], { input: `${words.join("\t")}\n` });
}

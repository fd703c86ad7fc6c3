// Services in Python publish with redis-py, which knows nothing of Stentor.

import assert from "node:assert/strict";
import { pythonPublisher, STAGES } from "../harness/python.js";
import { fact } from "../harness/world.js";

const schema = `
type Subscription {
  queryProgress(queryId: ID!): QueryProgress!
    @subscribe(hash: "progress:{{ args.queryId }}", until: "event.stage == 'completed'", idleTimeout: "10m")
  documentUpdates(tenantId: String!): ID! @subscribe(topic: "documents:{{ args.tenantId }}")
}
type QueryProgress { queryId: ID! @from(argument: "queryId")  stage: String!  progress: Float!  message: String! }
`;

fact("the five stages that redis-py writes arrive as numbers and texts, and the last completes", async (world) => {
  const folder = await world.folder({ "schema.graphql": schema });
  const server = await world.server({ folder: folder.path });
  const query = 'subscription { queryProgress(queryId: "7") { queryId stage progress message } }';
  const operation = await world.client(server).subscribe(query);
  for (const [stage, progress, message] of STAGES) {
    pythonPublisher(world).progress("7", stage, progress, message);
    const queryProgress = { queryId: "7", stage, progress: Number(progress), message };
    assert.deepEqual(await operation.next(), { data: { queryProgress } });
  }
  assert.equal(await operation.end(), null);
});

fact("the bare id that redis-py publishes is the value of the field", async (world) => {
  const folder = await world.folder({ "schema.graphql": schema });
  const server = await world.server({ folder: folder.path });
  const operation = await world.client(server).subscribe('subscription { documentUpdates(tenantId: "t1") }');
  pythonPublisher(world).document("t1", "doc-42");
  assert.deepEqual(await operation.next(), { data: { documentUpdates: "doc-42" } });
});

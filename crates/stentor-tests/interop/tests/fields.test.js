// Every field of the trading example: what `redis-cli PUBLISH` sends is what the reference client receives.

import assert from "node:assert/strict";
import { fact } from "../harness/world.js";

const timestamp = "2026-01-31T12:00:00Z";
const botId = "550e8400-e29b-41d4-a716-446655440000";
const bot = { type: "bot_status", bot_id: "42", status: "running", healthy: true, timestamp };
const backtest = { type: "backtest_progress", backtest_id: "b1", strategy_id: "s1", status: "running", progress: 0.25, timestamp };
const alert = {
  type: "alert_created", alert_id: "a1", rule_id: "r1", owner_id: "acme", alert_type: "bot_status",
  severity: "critical", title: "Bot down", description: "Bot 42 does not answer", timestamp,
};
const trade = { type: "trade_updated", trade_id: "t1", bot_id: "42", pair: "BTC/USDT", side: "long", status: "open", timestamp };
const runner = { type: "runner_status", runner_id: "r1", status: "online", timestamp };

const botFields = "{ id botId type status healthy error timestamp }";
const backtestFields = "{ id backtestId type strategyId status progress error timestamp }";
const alertFields = "{ id alertId type ruleId ownerId alertType severity title description timestamp }";
const tradeFields = "{ id tradeId type botId pair side status profitPct timestamp }";
const runnerFields = "{ id runnerId type status progress currentPhase error timestamp }";

const botResult = { id: "42", botId: "42", type: "bot_status", status: "running", healthy: true, error: null, timestamp };
const backtestResult = {
  id: "b1", backtestId: "b1", type: "backtest_progress", strategyId: "s1", status: "running", progress: 0.25, error: null, timestamp,
};
const alertResult = {
  id: "a1", alertId: "a1", type: "alert_created", ruleId: "r1", ownerId: "acme", alertType: "bot_status",
  severity: "critical", title: "Bot down", description: "Bot 42 does not answer", timestamp,
};
const tradeResult = {
  id: "t1", tradeId: "t1", type: "trade_updated", botId: "42", pair: "BTC/USDT", side: "long", status: "open", profitPct: null, timestamp,
};
const runnerResult = {
  id: "r1", runnerId: "r1", type: "runner_status", status: "online", progress: null, currentPhase: null, error: null, timestamp,
};

// Each row: the field with its arguments, its selection, the scope that it needs, and what is published where for which result.
const trading = [
  {
    field: `botStatusChanged(botId: "${botId}")`, fields: botFields, scope: `bot:${botId}:view`, topic: `bot:${botId}`,
    events: [
      [{ ...bot, bot_id: botId }, { ...botResult, id: botId, botId }],
      [{ ...bot, bot_id: botId, healthy: false, error: "no answer" }, { ...botResult, id: botId, botId, healthy: false, error: "no answer" }],
    ],
  },
  {
    field: 'backtestProgress(backtestId: "b1")', fields: backtestFields, scope: "backtest:b1:view", topic: "backtest:b1",
    events: [
      [backtest, backtestResult],
      [{ ...backtest, progress: 1, status: "completed" }, { ...backtestResult, progress: 1, status: "completed" }],
      [{ ...backtest, progress: 0, error: "no data" }, { ...backtestResult, progress: 0, error: "no data" }],
    ],
  },
  {
    field: 'alertEventCreated(ownerId: "acme")', fields: alertFields, scope: "org:acme:view", topic: "alert:acme",
    events: [[alert, alertResult]],
  },
  {
    field: 'tradeUpdated(botId: "42")', fields: tradeFields, scope: "bot:view", topic: "trade:42",
    events: [[trade, tradeResult], [{ ...trade, profit_pct: -1.5 }, { ...tradeResult, profitPct: -1.5 }]],
  },
  {
    field: 'runnerStatusChanged(runnerId: "r1")', fields: runnerFields, scope: "runner:r1:view", topic: "runner:r1",
    events: [
      [runner, runnerResult],
      [
        { ...runner, type: "runner_progress", progress: 40, current_phase: "downloading" },
        { ...runnerResult, type: "runner_progress", progress: 40, currentPhase: "downloading" },
      ],
      [{ ...runner, error: "disk full" }, { ...runnerResult, error: "disk full" }],
    ],
  },
  {
    field: 'botChanged(ownerId: "acme")', fields: botFields, scope: "org:acme:view", topic: "org:bots:acme",
    events: [[bot, botResult]],
  },
  {
    field: 'tradeChanged(ownerId: "acme")', fields: tradeFields, scope: "org:acme:view", topic: "org:trades:acme",
    events: [[trade, tradeResult]],
  },
  {
    field: 'runnerChanged(ownerId: "acme")', fields: runnerFields, scope: "org:view", topic: "org:runners:acme",
    events: [[runner, runnerResult]],
  },
];

for (const { field, fields, scope, topic, events } of trading) {
  const name = field.slice(0, field.indexOf("("));
  fact(`${name} carries every key of its events`, async (world) => {
    const server = await world.server();
    const operation = await world.client(server, { claims: { scope } }).subscribe(`subscription { ${field} ${fields} }`);
    for (const [event, result] of events) {
      assert.equal(await world.redis.publish(topic, event), 1);
      assert.deepEqual(await operation.next(), { data: { [name]: result } });
    }
  });
}

fact("in the memory of the example's own program, every field hears its market", async (world) => {
  const server = await world.server({ embedded: true });
  const client = world.client(server, { claims: { scope: "bot:view backtest:view runner:view org:view" } });
  const all = [
    ["botStatusChanged", 'botId: "42"', botFields], ["backtestProgress", 'backtestId: "7"', backtestFields],
    ["alertEventCreated", 'ownerId: "org_12345"', alertFields], ["tradeUpdated", 'botId: "42"', tradeFields],
    ["runnerStatusChanged", 'runnerId: "eu-1"', runnerFields], ["botChanged", 'ownerId: "org_12345"', botFields],
    ["tradeChanged", 'ownerId: "org_12345"', tradeFields], ["runnerChanged", 'ownerId: "org_12345"', runnerFields],
  ];
  const heard = all.map(async ([field, argument, fields]) => {
    const operation = await client.subscribe(`subscription { ${field}(${argument}) ${fields} }`);
    const { data, errors } = await operation.next();
    assert.equal(errors, undefined);
    assert.ok(data[field].id && data[field].status !== null && data[field].timestamp, JSON.stringify(data));
  });
  await Promise.all(heard);
});

fact("a malformed event is skipped and the subscription lives on", async (world) => {
  const server = await world.server();
  const client = world.client(server, { claims: { scope: "bot:view" } });
  const operation = await client.subscribe('subscription { botStatusChanged(botId: "42") { status } }');
  for (const payload of ["plain text", '{"status": ', ""]) await world.redis.publish("bot:42", payload);
  await world.redis.publish("bot:42", bot);
  assert.deepEqual(await operation.next(), { data: { botStatusChanged: { status: "running" } } });
});

fact("a Keycloak permission opens the field that its resource names", async (world) => {
  const server = await world.server();
  const claims = { authorization: { permissions: [{ rsid: "7b0e", rsname: "bot:42", scopes: ["view", "edit"] }] } };
  const operation = await world.client(server, { claims }).subscribe('subscription { botStatusChanged(botId: "42") { status } }');
  await world.redis.publish("bot:42", bot);
  assert.deepEqual(await operation.next(), { data: { botStatusChanged: { status: "running" } } });
});

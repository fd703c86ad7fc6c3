// `stentor init`, and that everything it writes works as it was written.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program } from "../harness/program.js";
import { fact } from "../harness/world.js";

// Made by scripts/setup, with the packages of requirements.txt.
const PYTHON = fileURLToPath(new URL("../.venv/bin/python", import.meta.url));
// Go compiles its library first, once a machine.
const PATIENCE_MS = 240_000;
const SECRET = "0123456789abcdef0123456789abcdef";

const PUBLISHERS = [
  ["publishers/publish.sh", [], "running"],
  [PYTHON, ["publishers/publish.py"], "paused"],
  [process.execPath, ["publishers/publish.mjs"], "stopped"],
  ["go", ["run", "publishers/publish.go"], "starting"],
];

fact("the schema and configuration that init writes are in order", async (world) => {
  const folder = await initialized(world);
  // Not as other tests do it: what the file says is to be checked.
  await world.told(["check"], { folder, environment: { STENTOR_BROKER__URL: undefined } });
});

fact("each publisher that init writes reaches the subscription that it writes", async (world) => {
  const folder = await initialized(world);
  const server = await world.server({ folder: folder.path });
  const watching = world.stentor(["subscribe", "@watch.graphql", "--url", server.webSocketUrl()], { folder });
  await watching.printed(/^live:/m);
  for (const [command, args, status] of PUBLISHERS) {
    const environment = { REDIS_URL: world.redis.url, GOTOOLCHAIN: "local" };
    const publisher = folder.run(command, args, environment);
    assert.equal(await publisher.ended(PATIENCE_MS), 0, `${command} ${args.join(" ")}`);
    await watching.printed(new RegExp(`"status": "${status}"`));
  }
});

fact("the README that init writes shows three commands, and its event arrives", async (world) => {
  const folder = await initialized(world);
  const readme = await readFile(join(folder.path, "README.md"), "utf8");
  const [, serve, subscribe, publish] = readme.match(/```sh\nstentor (.*)\nstentor (.*)\nstentor (.*)\n```/);
  assert.equal(serve, "serve");
  const server = await world.server({ folder: folder.path });
  const environment = { STENTOR_URL: server.webSocketUrl() };
  const watching = world.stentor(subscribe.split(" "), { folder, environment });
  await watching.printed(/^live:/m);
  const [, topic, payload] = publish.match(/^publish (\S+) '(.*)'$/);
  await world.told(["publish", topic, payload], { folder });
  await watching.printed(/"status": "running"/);
});

fact("with the # taken away, as stentor.toml says, only a token is let in", async (world) => {
  const folder = await initialized(world);
  const edit = async (name, change) => folder.write(name, change(await readFile(join(folder.path, name), "utf8")));
  await edit("stentor.toml", (text) =>
    text.replace(/^# (\[auth\.jwt\]|secret|audience)/gm, "$1").replace("replace this by a secret that nobody knows", SECRET),
  );
  await edit("schema.graphql", (text) => text.replace("# @hasScope", "@hasScope"));
  const server = await world.server({ folder: folder.path });
  const environment = { STENTOR_URL: server.webSocketUrl() };
  await world.told(["subscribe", "@watch.graphql"], { folder, environment, code: 1 });
  environment.STENTOR_TOKEN = (await world.told(["token", "--scope", "bot:view"], { folder })).trim();
  const watching = world.stentor(["subscribe", "@watch.graphql"], { folder, environment });
  await watching.printed(/^live:/m);
});

/** A folder in which `stentor init` was run. */
async function initialized(world) {
  const folder = await world.folder({});
  await world.told(["init"], { folder });
  return folder;
}

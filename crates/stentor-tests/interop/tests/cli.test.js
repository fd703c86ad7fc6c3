// Every command that docs/cli.md and the README's first steps show, run as it is written there.

import assert from "node:assert/strict";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Page } from "../harness/page.js";
import { freePort } from "../harness/program.js";
import { fact } from "../harness/world.js";

const EVENT = { bot_id: "42", status: "running", healthy: true };

for (const name of ["docs/cli.md", "README.md"]) {
  fact(`every stentor command of ${name} works as it is written`, async (world) => {
    const typist = await Typist.sit(world);
    const lines = new Page(name).all(/^```sh\n(.*?)^```$/gms).flatMap(([, block]) => block.trimEnd().split("\n"));
    const shown = lines.filter((line) => /stentor (?!serve$)/.test(line));
    assert.ok(shown.length >= 3, `${name} shows ${shown.length} commands`);
    for (const line of lines) await typist.type(line);
  });
}

/** Types lines into a shell, in a folder of its own in which `stentor` is the program under test. */
class Typist {
  #world;
  #folder;
  #cwd;
  #environment;

  static async sit(world) {
    const typist = new Typist();
    typist.#world = world;
    typist.#folder = await world.folder({});
    typist.#cwd = typist.#folder.path;
    const bin = join(typist.#cwd, "bin");
    await mkdir(bin);
    await symlink(process.env.STENTOR_BIN, join(bin, "stentor"));
    const port = await freePort();
    typist.#environment = {
      HOME: typist.#cwd,
      PATH: `${bin}:${process.env.PATH}`,
      STENTOR_BROKER__URL: world.redis.url,
      STENTOR_LISTEN: `127.0.0.1:${port}`,
      STENTOR_URL: `ws://127.0.0.1:${port}/graphql`,
    };
    return typist;
  }

  async type(line) {
    const [, folder] = line.match(/(?:^|&& )cd (\S+)$/) ?? [];
    const [, variable, value] = line.match(/^export (\w+)="(.*)"$/) ?? [];
    if (line === "stentor serve") await this.#serve();
    else if (variable) this.#environment[variable] = value;
    else if (/stentor subscribe/.test(line)) await this.#subscribe(line);
    else if (/\bstentor |^mkdir/.test(line)) await this.#run(line);
    if (folder) this.#cwd = join(this.#cwd, folder);
  }

  async #serve() {
    const port = Number(this.#environment.STENTOR_LISTEN.split(":")[1]);
    await this.#world.server({ folder: this.#cwd, port });
  }

  /** Shows an event, then ends by itself or at Ctrl-C. */
  async #subscribe(line) {
    const program = this.#start(line);
    await program.printed(/^live:/m);
    await this.#world.redis.publish("bot:42", EVENT);
    await program.printed(/"status": ?"running"/);
    assert.equal(await (line.includes("--count") ? program.ended() : program.end("SIGINT")), 0, line);
  }

  async #run(line) {
    const program = this.#start(line);
    assert.equal(await program.ended(), 0, `${line}\n${program.output}`);
  }

  /** Bash becomes the program itself where a line is nothing but the program, so that a signal reaches it. */
  #start(line) {
    return this.#folder.run("bash", ["-euo", "pipefail", "-c", line], this.#environment, this.#cwd);
  }
}

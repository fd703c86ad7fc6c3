// A real redis-server on a free port, without persistence, and `redis-cli` as the only way to talk to it.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, Program } from "./program.js";

const run = promisify(execFile);

export class Redis {
  #folder;
  #program;
  port;

  static async start() {
    const redis = new Redis();
    redis.#folder = await mkdtemp(join(tmpdir(), "stentor-interop-"));
    redis.port = await freePort();
    await redis.#launch();
    return redis;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  get output() {
    return this.#program.output;
  }

  /** Publishes as any shell script would; how many listeners Redis handed it to. */
  async publish(topic, event) {
    const payload = typeof event === "string" ? event : JSON.stringify(event);
    return Number(await this.cli("PUBLISH", topic, payload));
  }

  /** How many connections listen to `topic`. */
  async listeners(topic) {
    const [, count] = (await this.cli("PUBSUB", "NUMSUB", topic)).split("\n");
    return Number(count);
  }

  async cli(...command) {
    const { stdout } = await run("redis-cli", ["-p", String(this.port), ...command]);
    return stdout.trim();
  }

  /** Ends the server without a goodbye and starts an empty one in its place. */
  async restart() {
    await this.kill();
    await this.resume();
  }

  /** Lets the server stand still, with every socket open. */
  freeze() {
    this.#program.signal("SIGSTOP");
  }

  /** Lets a server that stands still go on. */
  thaw() {
    this.#program.signal("SIGCONT");
  }

  /** Ends the server without a goodbye. */
  async kill() {
    await this.#program.end("SIGKILL");
  }

  /** Starts an empty server in the place of the one that was ended. */
  async resume() {
    await this.#launch();
  }

  async stop() {
    await this.#program.end("SIGKILL");
    await rm(this.#folder, { recursive: true });
  }

  async #launch() {
    const settings = ["--port", this.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    this.#program = new Program("redis-server", [...settings.map(String), "--dir", this.#folder]);
    await this.#program.printed(/Ready to accept connections/);
  }
}

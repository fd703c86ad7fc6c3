// One test, with a Redis, servers and clients of its own.

import { test } from "node:test";
import { Client } from "./client.js";
import { Folder } from "./folder.js";
import { RawSocket } from "./raw-socket.js";
import { Redis } from "./redis.js";
import { configOf, Server, stentor } from "./server.js";

/** A test named by the fact it proves. On failure the programs' output is told too. */
export function fact(name, prove) {
  test(name, async () => {
    const world = new World();
    try {
      world.redis = await Redis.start();
      await prove(world);
    } catch (error) {
      error.message += world.transcript();
      throw error;
    } finally {
      await world.end();
    }
  });
}

class World {
  #servers = [];
  #clients = [];
  #folders = [];
  #programs = [];
  redis;

  /** The configuration that its servers run with unless they are told otherwise. */
  config = configOf("trading");

  /** Starts a server on this world's Redis. */
  async server(options = {}) {
    const server = await Server.start({ broker: this.redis.url, ...options });
    this.#servers.push(server);
    return server;
  }

  /** Stops one server before the end of the test; its exit code. */
  async stop(server) {
    this.#servers = this.#servers.filter((other) => other !== server);
    return server.stop();
  }

  /** The reference client, connected to `server` when it first subscribes. */
  client(server, options) {
    const client = new Client(server, options);
    this.#clients.push(client);
    return client;
  }

  /** Starts the `stentor` program in `folder`, with this world's Redis for a broker unless `environment` has another. */
  stentor(args, { folder, environment, input } = {}) {
    const program = stentor(args, { STENTOR_BROKER__URL: this.redis.url, ...environment }, folder?.path, input);
    this.#programs.push(program);
    return program;
  }

  /** What one run of `stentor` prints, without its complaints; it must end with this exit code. */
  async told(args, { code = 0, ...options } = {}) {
    const program = this.stentor(args, options);
    const ended = await program.ended();
    if (ended !== code) throw new Error(`stentor ${args.join(" ")} ended with ${ended}, not ${code}:\n${program.output}`);
    return code === 0 ? program.stdout : program.output;
  }

  /** A socket without any client's manners. */
  async socket(server, options) {
    const socket = await RawSocket.open(server, options);
    this.#clients.push(socket);
    return socket;
  }

  /** A user's folder with these files, by name. */
  async folder(files) {
    const folder = await Folder.create(files);
    this.#folders.push(folder);
    return folder;
  }

  /** Calls `close` of whatever it is at the end of the test. */
  keep(closable) {
    this.#clients.push(closable);
    return closable;
  }

  transcript() {
    const programs = [...this.#servers, ...(this.redis ? [this.redis] : []), ...this.#folders, ...this.#programs];
    return programs.map(({ port, path, output }) => `\n--- ${path ?? (port ? `port ${port}` : "stentor")}\n${output}`).join("");
  }

  async end() {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
    const ends = [...this.#folders.map((folder) => folder.remove()), ...this.#servers.map((server) => server.stop())];
    await Promise.allSettled(ends);
    await this.redis?.stop();
    await Promise.all(ends);
  }
}

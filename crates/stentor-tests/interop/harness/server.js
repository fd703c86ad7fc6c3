// The `stentor` program, started as an operator starts it: with a configuration file and the environment.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort, Program } from "./program.js";

const EXAMPLES = fileURLToPath(new URL("../../../../examples/", import.meta.url));

export class Server {
  #program;
  port;

  /**
   * Serves examples/`example`, or with `folder` what is in there, as `stentor serve` without arguments does; with `embedded`
   * the example's own program serves. `environment` comes on top of what every test needs.
   */
  static async start({ example = "trading", embedded = false, folder, broker, port, environment = {} }) {
    const server = new Server();
    server.port = port ?? (await freePort());
    const settings = {
      STENTOR_LISTEN: `127.0.0.1:${server.port}`,
      STENTOR_BROKER__URL: broker,
      // A restart of Redis is a reconnect, however slow the machine is.
      STENTOR_BROKER__FALLBACK_AFTER: "1m",
      STENTOR_SHUTDOWN__WINDOW: "1s",
      ...environment,
    };
    const config = folder ? [] : ["--config", configOf(example)];
    server.#program = embedded
      ? program(`STENTOR_${example.toUpperCase()}_BIN`, [], settings)
      : stentor(["serve", ...config], settings, folder);
    await server.#program.printed(/http:\/\/\S+\/graphql/);
    return server;
  }

  /** The address of `path` over HTTP. */
  url(path = "/graphql") {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** The address of `path` over WebSocket. */
  webSocketUrl(path = "/graphql") {
    return `ws://127.0.0.1:${this.port}${path}`;
  }

  get output() {
    return this.#program.output;
  }

  /** Asks the program to stop; its exit code. */
  async stop() {
    return this.#program.end("SIGTERM");
  }
}

/** The secret that an example's own configuration names. */
export function secretOf(example) {
  const [, secret] = readFileSync(configOf(example), "utf8").match(/^secret = "(.*)"$/m);
  return secret;
}

/** Exit code and words of `stentor check` about an example, or with `folder` about what is in there. */
export async function check({ example, folder, environment }) {
  const config = folder ? [] : ["--config", configOf(example)];
  const program = stentor(["check", ...config], environment, folder);
  return { code: await program.ended(), output: program.output };
}

/** The `stentor` program, with these arguments and nothing of Stentor's in the environment but this. */
export function stentor(args, environment = {}, cwd = undefined, input = undefined) {
  return program("STENTOR_BIN", args, environment, cwd, input);
}

/** The program that `variable` names, likewise. */
function program(variable, args, environment, cwd, input) {
  const binary = process.env[variable];
  if (!binary) throw new Error(`${variable} is not set; \`make interop\` builds the programs and sets it`);
  return new Program(binary, args, { cwd, input, env: { ...inherited(), ...environment } });
}

/** The configuration file of an example. */
export function configOf(example) {
  return `${EXAMPLES}${example}/stentor.toml`;
}

/** This process's environment without settings of Stentor's that a developer may have exported. */
export function inherited() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("STENTOR_")));
}

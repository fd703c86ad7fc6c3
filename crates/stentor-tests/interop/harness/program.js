// A child process that is ended by its id, whatever happens to the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { within } from "./wait.js";

const START_OR_END_MS = 20_000;

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export class Program {
  #child;
  #exited;
  #watchers = new Set();
  #name;
  /** Everything that it printed; `stdout` without its complaints. */
  output = "";
  stdout = "";

  /** `input`, if there is one, is its whole standard input. */
  constructor(command, args, { input, ...options } = {}) {
    this.#name = `${command} ${args.join(" ")}`;
    this.#child = spawn(command, args, { ...options, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] });
    running.add(this.#child);
    // Not "exit", at which something that it printed may still be on its way.
    this.#exited = once(this.#child, "close").finally(() => running.delete(this.#child));
    this.#exited.catch(() => {}); // `printed` and `ended` tell about a program that cannot be started
    this.#child.stdin?.end(input);
    this.#child.stdout.setEncoding("utf8").on("data", (text) => (this.stdout += text));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => this.#heard(text));
    }
  }

  /** The first match of `pattern` in what the program prints; an error if it ends before. */
  async printed(pattern, patienceMs = START_OR_END_MS) {
    const found = new Promise((resolve) => {
      const look = () => {
        const match = this.output.match(pattern);
        if (match) resolve(match);
      };
      this.#watchers.add(look);
      look();
    });
    const ended = this.#exited.then(([code, signal]) => {
      throw new Error(`${this.#name} ended (${code ?? signal}) before it printed ${pattern}:\n${this.output}`);
    });
    ended.catch(() => {});
    return within(Promise.race([found, ended]), `${this.#name} prints ${pattern}`, patienceMs);
  }

  /** Sends `signal`. */
  signal(signal) {
    this.#child.kill(signal);
  }

  /** Sends `signal` and waits for the end; the exit code, or the signal that ended it. */
  async end(signal) {
    this.signal(signal);
    return this.ended();
  }

  /** Waits for the end; the exit code, or the signal that ended it. */
  async ended(deadlineMs = START_OR_END_MS) {
    try {
      const [code, signal] = await within(this.#exited, `${this.#name} ends`, deadlineMs);
      return code ?? signal;
    } catch (error) {
      this.#child.kill("SIGKILL"); // a child that lives on would keep the test run alive
      throw error;
    }
  }

  #heard(text) {
    this.output += text;
    this.#watchers.forEach((look) => look());
  }
}

/** A loopback port that nobody listens on at the moment. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// A folder of a user's own, in which the npm packages of these tests are installed.

import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program } from "./program.js";
import { inherited } from "./server.js";

const PACKAGES = fileURLToPath(new URL("../node_modules", import.meta.url));

export class Folder {
  #programs = [];
  path;

  /** A folder with these files, by name. */
  static async create(files) {
    const folder = new Folder();
    folder.path = await mkdtemp(join(tmpdir(), "stentor-interop-"));
    await symlink(PACKAGES, join(folder.path, "node_modules"));
    for (const [name, text] of Object.entries(files)) await folder.write(name, text);
    return folder;
  }

  async write(name, text) {
    await writeFile(join(this.path, name), text);
  }

  /** Runs one of the files with Node, with `environment` on top of this process's. */
  node(name, environment) {
    return this.run(process.execPath, [name], environment);
  }

  /** Runs a command in it, with `environment` on top of this process's without settings of Stentor's. */
  run(command, args, environment = {}, cwd = this.path) {
    const program = new Program(command, args, { cwd, env: { ...inherited(), ...environment } });
    this.#programs.push(program);
    return program;
  }

  /** What its programs printed. */
  get output() {
    return this.#programs.map((program) => program.output).join("\n");
  }

  /** Ends its programs and takes it away. */
  async remove() {
    await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
    await rm(this.path, { recursive: true });
  }
}

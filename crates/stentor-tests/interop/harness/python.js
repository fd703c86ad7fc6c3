// A document assistant's services, written with redis-py.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const python = fileURLToPath(new URL("../.venv/bin/python", import.meta.url));
const program = fileURLToPath(new URL("publisher.py", import.meta.url));

/** What a question's progress holds, one after another. */
export const STAGES = [
  ["received", "0.0", "Query accepted"],
  ["retrieving", "0.25", "Fetching documents"],
  ["reranking", "0.5", "Reordering results"],
  ["generating", "0.75", "Generating answer"],
  ["completed", "1.0", "Answer ready"],
];

/** The services on a world's Redis; each call returns when Python has done it. */
export function pythonPublisher(world) {
  const say = (...words) => execFileSync(python, [program, String(world.redis.port)], { input: `${words.join("\t")}\n` });
  return {
    progress: (query, stage, progress, message) => say("progress", query, stage, progress, message),
    document: (tenant, id) => say("document", tenant, id),
  };
}

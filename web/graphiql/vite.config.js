// Builds `dist`, which crates/stentor/build.rs puts into the program.

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig } from "vite";

// Beside the page's own address: from `/any/where/graphql`, `./graphql/assets/` is `/any/where/graphql/assets/`.
const ASSETS = "graphql/assets";

export default defineConfig({
  base: "./",
  build: {
    assetsDir: ASSETS,
    assetsInlineLimit: 0, // the server's Content-Security-Policy allows files of its own only
    chunkSizeWarningLimit: 8_000, // in kB; Monaco is what it is
    license: { fileName: `${ASSETS}/licenses.md` }, // what is handed on has the notices of those who wrote it
    emptyOutDir: false, // the folder itself belongs to the repository
    target: "es2022",
  },
  worker: { format: "es" },
  plugins: [compress()],
});

/** Leaves every asset compressed, as the server hands it out, and none of an earlier build. */
function compress() {
  const folder = join(import.meta.dirname, "dist", ASSETS);
  return {
    name: "compress",
    apply: "build",
    async buildStart() {
      await rm(folder, { recursive: true, force: true });
    },
    async closeBundle() {
      for (const name of await readdir(folder)) {
        const path = join(folder, name);
        await writeFile(`${path}.gz`, gzipSync(await readFile(path), { level: 9 }));
        await rm(path);
      }
    },
  };
}

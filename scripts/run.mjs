// Runs a TypeScript file of this repository: node scripts/run.mjs file.ts [arguments].
// esbuild turns it and what it imports from here into one module; packages stay packages. For our own scripts only: the published
// command line is compiled by tsc.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const [entry, ...rest] = process.argv.slice(2);
if (entry === undefined) {
  console.error("usage: node scripts/run.mjs <file.ts> [arguments]");
  process.exit(2);
}
const folder = join(root, "node_modules", ".cache", "recurve-scripts");
const outfile = join(folder, `${basename(entry, ".ts")}.mjs`);
mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  logLevel: "warning",
});
const { status, signal } = spawnSync(process.execPath, ["--enable-source-maps", outfile, ...rest], { stdio: "inherit" });
process.exit(status ?? (signal === null ? 1 : 128));

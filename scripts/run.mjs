// Runs a TypeScript file of this repository: node scripts/run.mjs file.ts [arguments].
// esbuild turns it and what lies beside it into one module; packages stay packages, and src/ is taken as compiled in dist/, because parts
// of it find their neighbours by their own address.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { basename, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const [entry, ...rest] = process.argv.slice(2);
if (entry === undefined) {
  console.error("usage: node scripts/run.mjs <file.ts> [arguments]");
  process.exit(2);
}
if (!existsSync(join(root, "dist", "index.js"))) {
  console.error("dist/ is not built: run npm install, or npm run build");
  process.exit(1);
}

/** Imports of src/x.ts become dist/x.js. */
const compiledSource = {
  name: "compiled-source",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const file = relative(root, join(resolveDir, path));
      if (!file.startsWith(`src${sep}`)) return undefined;
      return { path: join(root, "dist", file.slice(4).replace(/\.ts$/, ".js")), external: true };
    });
  },
};

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
  plugins: [compiledSource],
});
const { status, signal } = spawnSync(process.execPath, ["--enable-source-maps", outfile, ...rest], { stdio: "inherit" });
process.exit(status ?? (signal === null ? 1 : 128));

/** `npm run page [-- s4d-kws-raw | s4-digits | mamba-austen | hippo]`: builds an example and serves its page until interrupted. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { serveFolder } from "../test/setup/server.ts";
import { assemblePage, buildBundle } from "./examples.ts";

const name = process.argv[2] ?? "s4d-sfmnist";
const root = process.cwd();
const folder = join(root, "out", name);
await mkdir(folder, { recursive: true });
buildBundle(root, name, join(folder, "bundle"));
await assemblePage(root, name, folder);
const { url } = await serveFolder(folder);
console.log(`${name} is at ${url} (Ctrl+C ends)`);

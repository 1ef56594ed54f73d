/** `npm start`: builds the trained s4d-sfmnist, runs part of its test set on WebGPU in two modes, and says where bundle and page are. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { requestGpu } from "../src/cli/adapter.ts";
import type { Model } from "../examples/shared/bundle.ts";
import type { LoadOptions } from "../src/runtime/api.ts";
import { assemblePage, buildBundle, readTestSet, type TestSet } from "./examples.ts";
import { type Score, score } from "./score.ts";

const NAME = "s4d-sfmnist";
function report({ mode, count, right, likePyTorch, apart, seconds }: Score, test: TestSet): void {
  const percent = (n: number): string => `${((100 * n) / count).toFixed(1)} %`;
  const theirs = test.predictions.slice(0, count).filter((c, i) => c === test.labels[i]).length;
  console.log(`${mode}, ${count} inputs of ${test.length} pixels`);
  console.log(
    `  accuracy             ${percent(right)} (PyTorch ${percent(theirs)}); the same class as PyTorch for ${likePyTorch} of ${count}`,
  );
  console.log(`  logits from PyTorch  at most ${apart.toExponential(1)} apart`);
  console.log(`  time                 ${seconds.toFixed(2)} s, ${((1000 * seconds) / count).toFixed(1)} ms an input`);
}

async function folderBytes(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

async function main(root: string): Promise<void> {
  const { gpu, adapter } = await requestGpu();
  const page = join(root, "out", NAME);
  const bundle = join(page, "bundle");
  await mkdir(page, { recursive: true });
  const start = performance.now();
  buildBundle(root, NAME, bundle);
  console.log(
    `built ${NAME} in ${((performance.now() - start) / 1000).toFixed(1)} s: ${Math.round((await folderBytes(bundle)) / 1024)} KB`,
  );
  await assemblePage(root, NAME, page);

  const { load } = (await import(pathToFileURL(join(bundle, "index.js")).href)) as {
    readonly load: (options: LoadOptions) => Promise<Model>;
  };
  const model = await load({ gpu });
  console.log(`running on ${adapter.info.description || adapter.info.architecture || adapter.info.vendor}`);
  const test = await readTestSet(join(root, "examples", NAME));
  report(await score(model, test, "convolution", 128, 16), test);
  report(await score(model, test, "recurrence", 50, 50), test);
  model.destroy();

  const shown = (path: string): string => relative(process.cwd(), path) || ".";
  console.log(`bundle  ${shown(bundle)}`);
  console.log(`page    ${shown(join(page, "index.html"))} (npm run page serves it; any static host will)`);
}

try {
  await main(process.cwd());
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

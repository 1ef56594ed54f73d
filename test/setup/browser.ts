/** A real headless Chromium with WebGPU on SwiftShader, both from `@sparticuz/chromium`, on pages of a local folder. */
import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, cp, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { chromium, type Browser, type Page } from "playwright-core";
import { unpackArchive, unpackOnce, unpackTar } from "../../src/cli/software.ts";
import { serveFolder } from "./server.ts";

const ARGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--no-pings",
  // As in src/cli/adapter.ts: SwiftShader takes seconds to compile the zeros of workgroup memory.
  "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** What a page's test works with. */
export interface TestPage {
  readonly page: Page;
  /** The served folder, such as `http://127.0.0.1:1234/`. */
  readonly url: string;
  /** Console errors and uncaught exceptions of the page, as they come. */
  readonly errors: readonly string[];
}

/** Serves `folder` on the loopback interface, opens a blank page and runs `use`; closes everything after. */
export async function withPage<T>(folder: string, use: (test: TestPage) => Promise<T>, switches: readonly string[] = []): Promise<T> {
  const server = await serveFolder(folder);
  try {
    const browser = await launchBrowser(switches);
    try {
      const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      return await use({ page, url: server.url, errors });
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

/** Starts the packaged Chromium, with command line switches beside its own; the caller closes it. */
export async function launchBrowser(switches: readonly string[] = []): Promise<Browser> {
  const executablePath = await unpackChromium();
  return chromium.launch({ executablePath, args: [...ARGS, ...switches], env: await browserEnvironment(executablePath) });
}

/** The executable, with SwiftShader's libraries beside it, where Chromium looks for them. */
async function unpackChromium(): Promise<string> {
  const swiftshader = await unpackArchive("swiftshader.tar.br");
  const folder = await unpackOnce("chromium.br", async (source, target) => {
    await pipeline(createReadStream(source), createBrotliDecompress({ chunkSize: 1 << 21 }), createWriteStream(join(target, "chromium")));
    await chmod(join(target, "chromium"), 0o755);
    await cp(swiftshader, target, { recursive: true });
  });
  return join(folder, "chromium");
}

/** Packaged fonts always, so that screenshots agree; packaged libraries only where the system lacks some. */
async function browserEnvironment(executable: string): Promise<Record<string, string>> {
  const env = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  delete env["VK_ICD_FILENAMES"];
  env["FONTCONFIG_PATH"] = await unpackFonts();
  const libraries = [dirname(executable)];
  if (spawnSync("ldd", [executable], { encoding: "utf8" }).stdout?.includes("not found")) {
    libraries.push(join(await unpackArchive("al2023.tar.br"), "lib"));
  }
  return { ...env, LD_LIBRARY_PATH: libraries.join(delimiter) };
}

/** The packaged fonts with a configuration that names them where they are. */
function unpackFonts(): Promise<string> {
  return unpackOnce("fonts.tar.br", async (source, folder) => {
    await unpackTar(source, folder);
    await writeFile(join(folder, "fonts.conf"), FONTS);
  });
}

const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;

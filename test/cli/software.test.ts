import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { mayHaveHardware, softwareAdapterFits, unpackArchive, unpackOnce } from "../../src/cli/software.ts";
import { scratch } from "./cli.ts";

let cache = "";
beforeEach(async () => {
  cache = await scratch();
  vi.stubEnv("XDG_CACHE_HOME", cache);
});
afterEach(() => vi.unstubAllEnvs());

describe.skipIf(!softwareAdapterFits())("unpacking", () => {
  test("several at once leave one whole folder, named by the content", async () => {
    const folders = await Promise.all([1, 2, 3].map(() => unpackArchive("fonts.tar.br")));
    expect(new Set(folders).size).toBe(1);
    const names = await readdir(join(cache, "recurve"));
    expect(names).toEqual([expect.stringMatching(/^fonts-[0-9a-f]{16}$/)]);
    expect(await readdir(folders[0] ?? "")).toContain("fonts.conf");
  });

  test("what is there is not unpacked again", async () => {
    const unpack = vi.fn(async (_: string, folder: string) => writeFile(join(folder, "file"), "x"));
    const first = await unpackOnce("fonts.tar.br", unpack);
    expect(await unpackOnce("fonts.tar.br", unpack)).toBe(first);
    expect(unpack).toHaveBeenCalledTimes(1);
  });

  test("a failure leaves nothing behind", async () => {
    await expect(unpackOnce("fonts.tar.br", () => Promise.reject(new Error("no space")))).rejects.toThrow("no space");
    expect(await readdir(join(cache, "recurve"))).toEqual([]);
  });

  test("a cache that cannot be written is done without", async () => {
    await writeFile(join(cache, "file"), "");
    vi.stubEnv("XDG_CACHE_HOME", join(cache, "file"));
    vi.stubEnv("TMPDIR", cache);
    expect(await unpackOnce("fonts.tar.br", (_, folder) => writeFile(join(folder, "file"), "x"))).toMatch(new RegExp(`^${cache}/user-`));
  });
});

describe.skipIf(process.platform !== "linux")("mayHaveHardware", () => {
  beforeEach(() => {
    for (const name of ["VK_ICD_FILENAMES", "VK_DRIVER_FILES", "VK_ADD_DRIVER_FILES"]) vi.stubEnv(name, "");
  });

  test("is true where a driver is named by the environment", () => {
    vi.stubEnv("VK_DRIVER_FILES", "/some/driver.json");
    expect(mayHaveHardware()).toBe(true);
  });

  test("is true where a driver's manifest is installed, and only then on account of that folder", async () => {
    const data = await scratch();
    vi.stubEnv("XDG_DATA_DIRS", data);
    vi.stubEnv("XDG_DATA_HOME", join(data, "home"));
    const before = mayHaveHardware();
    await mkdir(join(data, "vulkan", "icd.d"), { recursive: true });
    expect(mayHaveHardware()).toBe(before);
    await writeFile(join(data, "vulkan", "icd.d", "driver.json"), "{}");
    expect(mayHaveHardware()).toBe(true);
  });
});

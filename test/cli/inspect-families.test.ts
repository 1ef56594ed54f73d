/** `recurve inspect` of a model with a system of every form there is: the text after `structure`, and what the page draws of each. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { cli } from "./cli.ts";
import { modelFile } from "./models.ts";

const MODEL = `import { dense, hippoLegs, linear, lru, model, reverse, s4, s4d, s5, sequence, shift } from "recurve";

export default model("every", { u: sequence(2) }, ({ u }) => {
  let x = linear(u, { width: 4, name: "encoder" });
  x = s5(x, { state: 8, name: "mimo" });
  x = lru(x, { state: 8, name: "rotation" });
  x = s4(x, { state: 8, name: "nplr" });
  x = s4(x, { state: 8, name: "held", discretize: "zoh" });
  x = s4d(x, { state: 8, name: "poles" });
  x = dense(x, { state: 8, name: "full" });
  x = shift(x, { state: 6, name: "taps" });
  return { y: reverse(x), z: hippoLegs(u, { state: 3 }) };
});
`;

/** What was printed and written; the drawings of each system by its name. */
const found = {
  text: "",
  modes: "",
  page: "",
  articles: new Map<string, { readonly form: string; readonly drawings: readonly string[] }>(),
};

let folder = "";
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-test-"));
  const path = await modelFile(folder, MODEL);
  found.modes = (await cli("inspect", path, "--max-length", "64", "--after", "mode")).out;
  found.text = (await cli("inspect", path, "--max-length", "64", "--after", "structure")).out;
  expect(await cli("inspect", path, "--max-length", "64", "--html", join(folder, "page.html"))).toMatchObject({ code: 0 });
  found.page = await readFile(join(folder, "page.html"), "utf8");
  for (const [, name = "", form = "", body = ""] of found.page.matchAll(/<article><h3>(.*?)<\/h3><p>(.*?)<\/p>([^]*?)<\/article>/g))
    found.articles.set(name, { form, drawings: [...body.matchAll(/<svg class="(\w+)"/g)].map(([, kind = ""]) => kind) });
});

test("--after structure is text that says every structure, and reads back as the same graph", () => {
  for (const line of [
    / = ssm continuous diagonal zoh state=1 %\d+( %\d+){5} @ .*model\.ts:5:7$/m,
    / = ssm continuous diagonal dirac state=1 /,
    /\[H=4 R=1 N=4 c=2\] = param "nplr:P"$/m,
    / = ssm continuous dplr bilinear state=4 /,
    / = ssm continuous dplr zoh state=4 /,
    / = ssm continuous diagonal zoh state=4 pairs /,
    / = ssm continuous dense zoh state=8 /,
    /\[H=4 K=6\] = param "taps:taps"$/m,
    / = ssm scaled state=3 alpha=0\.5 /,
  ])
    expect(found.text).toMatch(line);
  expect(printGraph(parseGraph(found.text))).toBe(found.text);
});

const poles = ["plane", "plane", "spread", "spread", "spectrum", "basis"];
const four = ["impulse", "impulse", "impulse", "impulse"];

test("--after mode says why a mode does not exist, and where", () => {
  expect(found.modes).toMatch(/^no recurrence: nothing runs reverse in it \(.*model\.ts:12:15\)$/m);
  expect(found.modes).toMatch(/^no chunked: nothing runs ssm diagonal in it \(.*model\.ts:5:7\)$/m);
});

test("the page of wide layers stays small: channels and poles are sampled, and it says so", { timeout: 120_000 }, async () => {
  const wide = await modelFile(
    await mkdtemp(join(folder, "wide-")),
    `import { model, s4, s4d, sequence } from "recurve";
export default model("wide", { u: sequence(256) }, ({ u }) => ({ y: s4(s4d(u, { state: 64 }), { state: 64 }) }));
`,
  );
  expect(await cli("inspect", wide, "--max-length", "64", "--html", join(folder, "wide.html"))).toMatchObject({ code: 0 });
  const page = await readFile(join(folder, "wide.html"), "utf8");
  expect(page.length).toBeLessThan(400_000);
  expect(page.match(/<svg class="impulse"/g)).toHaveLength(8);
  for (const caption of [
    "Discrete poles (8 of 256 channels)",
    "Discrete poles (4 of 256 channels)",
    "Impulse responses, samples (4 of 256 channels)",
  ])
    expect(page).toContain(caption);
});

describe("the page", () => {
  test.each([
    ["mimo", "diagonal; 1 stored state; 16 channels; zoh", [...poles, ...four]],
    ["rotation", "diagonal; 1 stored state; 32 channels; dirac", [...poles, ...four]],
    ["nplr", "normal plus low rank; 4 stored states; 4 channels; bilinear", [...poles, ...four]],
    ["held", "normal plus low rank, dense when discretized; 4 stored states; 4 channels; zoh", [...poles, ...four]],
    ["poles", "diagonal; 4 stored states (one of each conjugate pair); 4 channels; zoh", [...poles, ...four]],
    ["full", "dense; 8 stored states; 4 channels that share one system; zoh", [...poles, "impulse"]],
    ["taps", "a convolution of 6 taps; 4 channels", ["spectrum", ...four]],
  ])("draws all there is of %s", (name, form, drawings) => {
    expect(found.articles.get(name)).toEqual({ form, drawings });
  });

  test("shows of a system of several inputs its modes, each once", () => {
    const [, mimo = ""] = /<article><h3>mimo<\/h3>([^]*?)<\/article>/.exec(found.page) ?? [];
    const labels = [...mimo.matchAll(/<li class="c\d">(.*?)<\/li>/g)].map(([, label = ""]) => label);
    expect(labels.toSorted()).toEqual([0, 0, 1, 1, 2, 2, 3, 3].map((h) => `channel ${h}`));
  });

  test("says of a system that varies in time that it has no poles, and of a model that reads backwards that it has no recurrence", () => {
    const [varying] = [...found.articles].filter(([name]) => name.startsWith("ssm "));
    expect(varying?.[1]).toEqual({
      form: "HiPPO-LegS, A / t: varies in time, so that it has neither poles nor a kernel; 3 states a channel",
      drawings: [],
    });
    expect(found.page).toMatch(/<p>no recurrence: nothing runs reverse in it \(.*model\.ts:12:15\)<\/p>/);
    expect(found.page).not.toContain("continue a stream");
  });

  test("has no number that is none", () => {
    expect(found.page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

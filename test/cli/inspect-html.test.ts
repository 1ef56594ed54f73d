/** The inspect page: whole, self-contained, safe against names, right in its sums; the layout without overlaps. */
import { describe, expect, it } from "vitest";
import { type InspectData, renderInspectPage } from "../../src/cli/inspect-html.ts";
import { layoutGraph } from "../../src/cli/inspect-layout.ts";
import { formatBytes } from "../../src/cli/inspect-plots.ts";

/** A residual block around an S4D layer, as the page would show it. */
export function sampleData(): InspectData {
  const node = (id: number, op: string, label: string, shape: string, args: number[]) => ({
    id,
    op,
    label,
    shape,
    args,
    loc: `model.ts:${id + 3}:7`,
  });
  const dispatch = (entry: string, kernel: string, flops: number, bytes: number, minimumBytes: number, workgroupBytes: number) => ({
    entry,
    kernel,
    flops,
    bytes,
    minimumBytes,
    workgroupBytes,
    grid: [64, 1, 1],
    wgsl: `fn ${kernel}() {\n  // a < b\n}`,
  });
  const poles = Array.from({ length: 16 }, (_, k): [number, number] => [-0.5 - 0.01 * k, Math.PI * k]);
  return {
    name: "one-<b>layer</b>",
    summary: "recurve 0.1.0, modes convolution, scan, recurrence",
    at: { B: 1, L: 784 },
    nodes: [
      node(0, "input", "u", "[B L H=1]", []),
      node(1, "matmul", "encoder", "[B L H=64]", [0]),
      node(2, "ssm", "s4_layers.0 s4d zoh N=64, gelu", "[B L H=64]", [1]),
      node(3, "matmul", "output_linear, glu", "[B L H=64]", [2]),
      node(4, "norm", "norms.0 layer, residual", "[B L H=64]", [1, 3]),
      node(5, "pool", "mean over L", "[B H=64]", [4]),
      node(6, "matmul", "decoder", "[B H=10]", [5]),
    ],
    choices: [
      {
        entry: "whole sequence",
        chosen: "convolution",
        reason: "784 steps fit one FFT of 1,024 points",
        costs: [
          { mode: "convolution", cost: 0.0011 },
          { mode: "scan", cost: 0.0042 },
          { mode: "chunked", why: "needs a scalar per head" },
          { mode: "recurrence", cost: 0.092 },
        ],
      },
    ],
    dispatches: [
      dispatch("convolution", "encoder_matmul", 100_352, 203_000, 203_000, 0),
      dispatch("convolution", "fft_conv_gelu", 7_200_000, 402_000, 401_408, 16_384),
      dispatch("step", "s4d_step", 16_384, 33_000, 33_000, 0),
    ],
    memory: {
      entry: "convolution",
      buffers: [
        { name: "u", kind: "input", bytes: 3136, from: 0, to: 0 },
        { name: "encoder", kind: "temp", bytes: 200_704, from: 0, to: 4 },
        { name: "spectrum", kind: "prepared", bytes: 524_288, from: 1, to: 1 },
        { name: "logits", kind: "output", bytes: 40, from: 5, to: 5 },
      ],
    },
    systems: [
      {
        name: "s4_layers.0",
        continuous: poles,
        discrete: poles.map(([re, im]) => [Math.exp(0.05 * re) * Math.cos(0.05 * im), Math.exp(0.05 * re) * Math.sin(0.05 * im)] as const),
        pairs: true,
        impulses: [0, 1, 2, 3].map((channel) => ({
          channel,
          values: Array.from({ length: 120 }, (_, t) => Math.exp(-t / 30) * Math.cos(t * (channel + 1) * 0.1)),
        })),
      },
    ],
    notes: ["structure: s4_layers.0 is diagonal & halved"],
    text: "graph one {\n  %0: [B L H=1] = input u\n}",
  };
}

/** The tags that are opened and never closed, or closed out of order. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [, slash, name = "", self] of html.matchAll(/<(\/?)([a-z][\w-]*)[^>]*?(\/?)>/gi)) {
    if (self === "/" || ["meta", "input", "br"].includes(name)) continue;
    if (slash === "") open.push(name);
    else if (open.pop() !== name) faults.push(name);
  }
  return [...faults, ...open];
}

describe("renderInspectPage", () => {
  const html = renderInspectPage(sampleData());

  it("is balanced and needs nothing from anywhere", () => {
    expect(unbalanced(html)).toEqual([]);
    expect(html).not.toMatch(/<script|<link|<img|https?:|url\(|NaN|undefined/);
  });

  it("escapes what comes from the user's model", () => {
    expect(html).not.toContain("<b>layer</b>");
    expect(html).toContain("one-&#60;b&#62;layer&#60;/b&#62;");
    expect(html).toContain("// a &#60; b");
  });

  it("sums the dispatches of an entry", () => {
    expect(html).toContain("2 dispatches");
    expect(html).toContain(formatBytes(203_000 + 402_000));
    expect(html).toContain((605_000 / 604_408).toFixed(2));
  });

  it("marks the mode chosen and says why another is not legal", () => {
    expect(html).toMatch(/<tr class="chosen"><th scope="row">convolution/);
    expect(html).toContain("needs a scalar per head");
  });

  it("draws every node, every edge, every pole and its conjugate", () => {
    expect(html.match(/<g class="node/g)).toHaveLength(7);
    expect(html.match(/class="edge"/g)).toHaveLength(7);
    expect(html.match(/<path class="pole mirrored" d="(M[^M]*h0){16}"/g)).toHaveLength(2);
  });
});

describe("layoutGraph", () => {
  const nodes = Array.from({ length: 40 }, (_, id) => ({
    id,
    args: [id - 1, id - 1 - (id % 5), Math.floor(id / 2)].filter((a) => a >= 0 && a < id),
    width: 60 + 7 * (id % 6),
  }));
  const { places, width, height } = layoutGraph(nodes);
  const at = (id: number) => places.get(id) ?? { x: Number.NaN, y: Number.NaN };

  it("puts every node below what it reads, inside the drawing", () => {
    for (const { id, args, width: w } of nodes) {
      for (const a of args) expect(at(id).y).toBeGreaterThan(at(a).y);
      expect(at(id).x - w / 2).toBeGreaterThanOrEqual(0);
      expect(at(id).x + w / 2).toBeLessThanOrEqual(width);
      expect(at(id).y).toBeLessThan(height);
    }
  });

  it("lets no two nodes of a row overlap", () => {
    const wide = layoutGraph(Array.from({ length: 12 }, (_, id) => ({ id, args: id < 6 ? [] : [id % 6, (id + 1) % 6], width: 100 })));
    const all = [...wide.places.values()];
    const clashes = all.filter((a, i) => all.some((b, j) => j > i && a.y === b.y && Math.abs(a.x - b.x) < 100));
    expect(clashes).toEqual([]);
  });
});

/** The inspect page: whole, self-contained, safe against names, right in its sums; the layout without overlaps. */
import { describe, expect, it } from "vitest";
import { type InspectData, renderInspectPage } from "../../src/cli/inspect-html.ts";
import { layoutGraph } from "../../src/cli/inspect-layout.ts";
import { spreadOf } from "../../src/ssm/timescales.ts";
import { formatBytes } from "../../src/cli/inspect-svg.ts";

/** A residual block around an S4D layer, as the page would show it. */
export function sampleData(): InspectData {
  const node = (id: number, op: string, label: string, shape: string, args: number[]) => ({
    id,
    op,
    label,
    shape,
    args,
    loc: `model.ts:${id + 3}:7`,
    source: `const x${id} = a < b;`,
  });
  const dispatch = (entry: string, kernel: string, flops: number, bytes: number, minimumBytes: number, workgroupBytes: number) => ({
    entry,
    kernel,
    every: kernel.endsWith("step") ? 4 : 1,
    flops,
    bytes,
    minimumBytes,
    seconds: 4e-6 + bytes / 1e11,
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
        thresholds: [
          { length: 1, mode: "recurrence", reason: "9 us against 12 us (scan)" },
          { length: 64, mode: "convolution", reason: "40 us against <44 us> (scan)" },
        ],
        modes: [
          { mode: "convolution", costs: [1, 32, 1024].map((l): [number, number] => [l, 4e-5 + l * 1e-6]) },
          { mode: "scan", costs: [1, 32, 1024].map((l): [number, number] => [l, 1e-5 + l * 3e-6]) },
          { mode: "recurrence", costs: [1, 32, 1024].map((l): [number, number] => [l, l * 9e-6]) },
        ],
      },
    ],
    refused: ["no chunked: nothing runs <ssm> in it"],
    dispatches: [
      dispatch("convolution", "encoder_matmul", 100_352, 203_000, 203_000, 0),
      dispatch("convolution", "fft_conv_gelu", 7_200_000, 402_000, 401_408, 16_384),
      dispatch("step", "s4d_step", 16_384, 33_000, 33_000, 0),
    ],
    memory: [
      {
        entry: "convolution",
        dispatches: ["encoder_matmul", "fft_conv_gelu", "pool"],
        buffers: [
          { name: "u", kind: "input", bytes: 3136, lives: [{ from: 0, to: 0, bytes: 3136, label: "input" }] },
          {
            name: "slot 0",
            kind: "temp",
            bytes: 200_704,
            lives: [
              { from: 0, to: 1, bytes: 200_704, label: "made by encoder_matmul" },
              { from: 2, to: 2, bytes: 256, label: "made by pool" },
            ],
          },
          { name: "logits", kind: "output", bytes: 40, lives: [{ from: 2, to: 2, bytes: 40, label: "output" }] },
        ],
      },
    ],
    systems: [
      {
        name: "s4_layers.0",
        form: "diagonal; 16 stored states (one of each conjugate pair); 64 channels; zoh",
        channels: 64,
        continuous: poles,
        discrete: poles.map(([re, im]) => [Math.exp(0.05 * re) * Math.cos(0.05 * im), Math.exp(0.05 * re) * Math.sin(0.05 * im)] as const),
        poleChannels: 1,
        mirrored: true,
        timeConstants: spreadOf(poles.map(([re]) => -1 / re)),
        memory: spreadOf(poles.map(([re]) => -20 / re)),
        spreadChannels: 64,
        impulses: [0, 1, 2, 3].map((channel) => ({
          channel,
          values: Float64Array.from({ length: 120 }, (_, t) => Math.exp(-t / 30) * Math.cos(t * (channel + 1) * 0.1)),
        })),
        spectrum: [0, 1, 2, 3].map((channel) => ({
          label: `channel ${channel}`,
          points: Array.from({ length: 50 }, (_, i): [number, number] => [1e-4 * 5000 ** (i / 49), 1 / (1 + (i / (9 + channel)) ** 2)]),
        })),
        basis: [0, 1].map((state) => ({
          label: `state ${state}`,
          points: Array.from({ length: 50 }, (_, i): [number, number] => [0.1 * i, Math.exp(-0.1 * i) * Math.cos(state * i)]),
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
    expect(html).not.toMatch(/<script|<link|<img|https?:|url\(|NaN|undefined|Infinity/);
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

  it("draws the costs of every mode over the length, and says from which length which one runs and why", () => {
    const [costs = ""] = html.match(/<svg class="costs"[^]*?<\/svg>/) ?? [];
    expect(costs.match(/class="curve/g)).toHaveLength(3);
    expect(costs.match(/class="threshold"/g)).toHaveLength(1);
    expect(html).toContain("from L = 64: <strong>convolution</strong>, 40 us against &#60;44 us&#62; (scan)");
  });

  it("says why there are no other modes, and which kernels run now and then", () => {
    expect(html).toContain("<p>no chunked: nothing runs &#60;ssm&#62; in it</p>");
    expect(html).toContain("s4d_step, every 4 steps");
  });

  it("draws what lies in memory when, and says what sharing saves", () => {
    const [memory = ""] = html.match(/<svg class="memory"[^]*?<\/svg>/) ?? [];
    expect(memory.match(/<rect/g)).toHaveLength(4);
    expect(memory).toContain("<title>made by encoder_matmul, 196 KiB\ndispatches 0 to 1, encoder_matmul to fft_conv_gelu</title>");
    expect(html).toContain("2 intermediate values of 196 KiB share 1 slot of 196 KiB.");
  });

  it("draws of a system its poles, time constants, spectrum, basis functions and impulse responses, each told in words", () => {
    const labels = [...html.matchAll(/<svg class="(\w+)"[^>]*role="img" aria-label="([^"]+)"/g)].map(
      ([, kind, label]) => `${kind}: ${label}`,
    );
    for (const told of [
      "plane: 16 poles of the continuous system and their conjugates: real parts -0.65 to -0.5",
      "plane: 16 poles of the discrete system and their conjugates, and the unit circle: sizes 0.968 to 0.975",
      "spread: Time constants 1/|Re λ|: median 1.75, longest 2 units of time",
      "spread: Memory, decay by e: median 35.1, longest 40 samples",
      "spectrum: Magnitude response: channel 0 peaks at 0 dB, 1e-4 cycles a sample",
      "basis: Basis functions of 2 states over 4.9 units of time",
      "impulse: Impulse response of channel 3 over 120 samples",
    ])
      expect(labels.filter((label) => label.startsWith(told))).toHaveLength(1);
    expect(html.match(/<svg class="/g)).toHaveLength(labels.length);
  });

  it("draws every node, every edge, every pole and its conjugate", () => {
    expect(html.match(/<g class="node/g)).toHaveLength(7);
    expect(html.match(/class="edge"/g)).toHaveLength(7);
    expect(html.match(/<path class="pole mirrored" d="(M[^M]*h0){16}"/g)).toHaveLength(2);
    expect(html).toContain("<title>%2 ssm [B L H=64]\nmodel.ts:5:7\nconst x2 = a &#60; b;</title>");
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

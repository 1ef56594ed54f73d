/** `recurve adapters`: which WebGPU adapters there are, and which one is used. */
import type { Command } from "../command.ts";

/** An adapter as the list shows it. */
interface AdapterRow {
  readonly used: boolean;
  readonly software: boolean;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<(typeof LIMITS)[number], number>>;
}

const LIMITS = [
  "maxComputeWorkgroupStorageSize",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;
const REQUESTS: readonly GPURequestAdapterOptions[] = [
  { powerPreference: "high-performance" },
  { powerPreference: "low-power" },
  { forceFallbackAdapter: true },
];

export const adapters: Command = {
  name: "adapters",
  operands: [],
  doc: "Lists the WebGPU adapters of this machine and says which one is used.",
  options: { json: { type: "boolean", doc: "print JSON" } },
  run: async (given, terminal) => {
    const { requestGpu } = await import("../adapter.ts");
    const { gpu, adapter } = await requestGpu();
    const rows = await listAdapters(gpu, adapter);
    if (given.values["json"] === true) terminal.out(`${JSON.stringify({ adapters: rows }, undefined, 2)}\n`);
    else rows.forEach((row) => terminal.out(formatAdapter(row)));
    return 0;
  },
};

async function listAdapters(gpu: GPU, used: GPUAdapter): Promise<AdapterRow[]> {
  const { isSoftware } = await import("../adapter.ts");
  const found = [used, ...(await Promise.all(REQUESTS.map((request) => gpu.requestAdapter(request))))];
  const rows = new Map<string, AdapterRow>();
  for (const adapter of found) {
    if (adapter === null) continue;
    const { vendor, architecture, device, description } = adapter.info;
    const key = [vendor, architecture, device, description].join("|");
    if (rows.has(key)) continue;
    rows.set(key, {
      used: adapter === used,
      software: isSoftware(adapter.info),
      vendor,
      architecture,
      device,
      description,
      features: [...adapter.features].sort(),
      limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])) as AdapterRow["limits"],
    });
  }
  return [...rows.values()];
}

function formatAdapter(row: AdapterRow): string {
  const title = [row.description, row.vendor, row.architecture, row.device].filter((part) => part !== "").join(", ");
  const limits = LIMITS.map((name) => `    ${name}: ${row.limits[name]}\n`).join("");
  return `${row.used ? "*" : " "} ${title}${row.software ? " (software)" : ""}\n    features: ${row.features.join(" ") || "none"}\n${limits}`;
}

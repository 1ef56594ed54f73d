import { expect, test } from "vitest";
import { cli } from "./cli.ts";

test("adapters --json: exactly one adapter is used, and it has limits", async () => {
  const { code, out, err } = await cli("adapters", "--json");
  expect([code, err]).toEqual([0, ""]);
  const { adapters } = JSON.parse(out) as { adapters: { used: boolean; limits: Record<string, number> }[] };
  expect(adapters.filter((a) => a.used)).toHaveLength(1);
  expect(adapters[0]?.limits["maxComputeWorkgroupStorageSize"]).toBeGreaterThanOrEqual(16384);
});

test("adapters: the one used is marked", async () => {
  expect((await cli("adapters")).out).toMatch(/^\* /m);
});

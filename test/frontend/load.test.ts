import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/frontend/load.ts";

describe("loadModel", () => {
  test("loads the examples", async () => {
    const { graph, meta } = await loadModel("examples/s4d-sfmnist/model.ts");
    console.log(meta, graph.nodes.length, graph.nodes.slice(-3));
    const two = await loadModel("examples/s4d-kws-raw/model.ts");
    console.log(two.meta);
    expect(graph.name).toBe("s4d-sfmnist");
  });
});

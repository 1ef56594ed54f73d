/**
 * The WGSL backend: how expressions and statements print, and the shaders of one small model as files to read.
 * RECURVE_UPDATE=1 writes the files anew.
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { emitWgsl, f32Literal } from "../../src/codegen/wgsl.ts";
import { compileGraph, shaders } from "../../src/compile.ts";
import { add, gelu, glu, layerNorm, linear, mean, model, s4d, sequence } from "../../src/dsl/index.ts";
import type { ScalarFn } from "../../src/ir/expr.ts";
import type { KExpr, KFn } from "../../src/ir/kernel.ts";
import * as kit from "../../src/passes/schedules/kit.ts";

const golden = fileURLToPath(new URL("golden", import.meta.url));

/** The kernels that are kept as files: of those of one name the last, which resumes a stream where there is such. */
const kept = [
  "direct_convolution",
  "fft_convolution",
  "matmul_elements",
  "matmul_tiles",
  "matmul_vector",
  "norm_layer_group",
  "norm_layer_rows",
  "pool_mean",
  "ssm_final_state",
  "ssm_kernel",
  "ssm_scan",
  "ssm_step",
];

const classifier = model("classifier", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 8, name: "encoder" });
  const y = gelu(s4d(x, { state: 8, name: "layer" }));
  const z = layerNorm(add(x, glu(y, { width: 8, name: "mix" })), { name: "norm" });
  return { logits: linear(mean(z, "L"), { width: 10, name: "decoder" }) };
});

describe("the shaders of a small classifier", async () => {
  const compiled = await compileGraph(classifier.graph, new Map(), { maxLength: 1024 });
  const texts = new Map(shaders(compiled).map(({ name, wgsl }) => [name, wgsl]));
  if (process.env["RECURVE_UPDATE"] === "1") {
    await rm(golden, { recursive: true, force: true });
    await mkdir(golden);
    await Promise.all(kept.map((name) => writeFile(join(golden, `${name}.wgsl`), texts.get(name) ?? "")));
  }

  test.each(kept)("%s", async (name) => {
    expect(texts.get(name)).toBe(await readFile(join(golden, `${name}.wgsl`), "utf8"));
  });

  test("no other files lie among them", async () => {
    expect((await readdir(golden)).toSorted()).toEqual(kept.map((name) => `${name}.wgsl`));
  });
});

/** The body of a kernel of one lane, without its indentation. */
function body(write: (k: kit.KernelBuilder) => void): string[] {
  const text = module(write);
  return text
    .slice(text.indexOf("{\n", text.indexOf("fn main")) + 2, text.lastIndexOf("}"))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function module(write: (k: kit.KernelBuilder) => void): string {
  const k = kit.kernelBuilder("kernel", 1);
  write(k);
  return emitWgsl(k.finish().kernel);
}

const { u32, f32, lane } = kit;
const callOf = (fn: KFn, ...args: KExpr[]): KExpr => ({ op: "call", type: "f32", fn, args });
/** How an expression over x, y, z prints. */
function printed(expr: (x: KExpr, y: KExpr, z: KExpr) => KExpr): string {
  const [x, y, z] = (["x", "y", "z"] as const).map((name): KExpr => ({ op: "var", type: "f32", name }));
  const lines = body((k) => k.assign(x ?? lane, expr(x ?? lane, y ?? lane, z ?? lane)));
  return lines[0]?.replace(/^x = (.*);$/, "$1") ?? "";
}

describe("names", () => {
  test("variables and workgroup memory of one name are told apart, whichever comes first", () => {
    const text = module((k) => {
      const before = k.let("x", kit.add(f32(1), f32(2)));
      const array = k.shared("x", 4);
      k.storeShared(array, u32(0), kit.add(before, k.let("x", kit.mul(f32(2), f32(3)))));
    });
    expect(text).toContain("var<workgroup> x_1: array<f32, 4u>;");
    expect(text).toContain("x_1[0u] = x + x_2;");
  });
});

describe("expressions", () => {
  test("operators within operators are in parentheses where another reading would be taken", () => {
    expect(printed((x, y, z) => kit.mul(kit.add(x, y), z))).toBe("(x + y) * z");
    expect(printed((x, y, z) => kit.add(x, kit.mul(y, z)))).toBe("x + y * z");
    expect(printed((x, y, z) => kit.add(x, kit.add(y, z)))).toBe("x + (y + z)");
    expect(printed((x, y, z) => kit.sub(x, kit.sub(y, z)))).toBe("x - (y - z)");
    expect(printed((x, y, z) => kit.sub(kit.sub(x, y), z))).toBe("x - y - z");
    expect(printed((x, y, z) => kit.mul(x, kit.div(y, z)))).toBe("x * (y / z)");
    expect(printed((x, y, z) => kit.div(kit.mul(x, y), z))).toBe("x * y / z");
    expect(printed((x, y) => kit.sub(x, kit.neg(y)))).toBe("x - (-y)");
    expect(printed((x, y) => kit.neg(kit.add(x, y)))).toBe("(-(x + y))");
  });

  test("so are operators of bits, which WGSL mixes with no other, and conditions of conditions", () => {
    expect(printed(() => kit.bitand(kit.shl(lane, 3), 7))).toBe("(lane << 3u) & 7u");
    expect(printed(() => kit.add(kit.bitand(lane, 7), kit.shr(kit.add(lane, 1), 3)))).toBe("(lane & 7u) + ((lane + 1u) >> 3u)");
    expect(printed((x, y, z) => callOf("and", kit.lt(kit.add(x, y), z), kit.lt(x, y)))).toBe("x + y < z && x < y");
    expect(printed((x, y, z) => callOf("and", callOf("or", x, y), callOf("and", y, z)))).toBe("(x || y) && (y && z)");
    expect(printed((x, y, z) => callOf("eq", kit.lt(x, y), kit.lt(y, z)))).toBe("(x < y) == (y < z)");
  });

  test("select takes the condition last and the value where it fails first", () => {
    expect(printed((x, y, z) => kit.select(kit.lt(x, 0), y, z))).toBe("select(z, y, x < 0f)");
  });

  test("negative literals are in parentheses", () => {
    expect(printed((x) => kit.sub(x, f32(-1.5)))).toBe("x - (-1.5f)");
  });

  test("conversions and functions of other names", () => {
    expect(printed((x) => kit.float(x))).toBe("f32(x)");
    expect(printed((x) => kit.uint(x))).toBe("u32(x)");
    expect(printed((x) => kit.unary("rsqrt", x))).toBe("inverseSqrt(x)");
    expect(printed((x) => kit.fromBits(kit.bitxor(kit.bits(x), 0xffffffff)))).toBe("bitcast<f32>(bitcast<u32>(x) ^ 4294967295u)");
  });

  test("dims, overrides, lanes, workgroups and components", () => {
    expect(printed(() => kit.dim("L"))).toBe("d.L");
    expect(printed(() => kit.override("POINTS"))).toBe("POINTS");
    expect(printed(() => kit.add(kit.group(1), lane))).toBe("grp.y + lane");
    expect(printed((x) => kit.component(x, 2))).toBe("x.z");
    expect(printed((x) => kit.component(x, lane))).toBe("x[lane]");
  });
});

describe("f32 literals", () => {
  test.each([
    [0, "0f"],
    [1, "1f"],
    [0.1, "0.1f"],
    [1 / 3, "0.33333334f"],
    [16777217, "16777216f"],
    [1e-45, "1.4013e-45f"],
    [3.4028234663852886e38, "3.4028235e+38f"],
    [Math.SQRT1_2, "0.70710677f"],
  ])("%d is %s", (value, text) => expect(f32Literal(value)).toBe(text));

  test("read back as the nearest f32", () => {
    for (let i = 1; i < 2000; i++) {
      const value = Math.sin(i) * 10 ** ((i % 76) - 38);
      expect(Math.fround(Number(f32Literal(value).slice(0, -1)))).toBe(Math.fround(value));
    }
  });

  test("what is no constant of WGSL comes from its bits", () => {
    const bits = (value: number): string | undefined => /^bitcast<f32>\(\(d\.B & 0u\) \| (0x\w{8})u\)$/.exec(f32Literal(value))?.[1];
    expect([NaN, Infinity, -Infinity, 1e39].map(bits)).toEqual(["0x7fc00000", "0x7f800000", "0xff800000", "0x7f800000"]);
  });
});

describe("statements", () => {
  test("names that WGSL keeps for itself, and the module's own, get an underscore", () => {
    const lines = body((k) => {
      const target = k.var("target", f32(0));
      k.assign(target, k.let("d", kit.add(target, 1)));
      k.for("loop", 0, 2, (i) => k.assign(target, kit.float(i)));
    });
    expect(lines).toEqual([
      "var target_ = 0f;",
      "let d_ = target_ + 1f;",
      "target_ = d_;",
      "for (var loop_ = 0u; loop_ < 2u; loop_ += 1u) {",
      "target_ = f32(loop_);",
      "}",
    ]);
  });

  test("a name may return in a block beside, and is another in a block within", () => {
    const lines = body((k) => {
      const x = k.var("x", f32(0));
      k.if(kit.lt(lane, 1), () => k.assign(x, k.let("y", kit.add(x, 1))));
      k.if(
        kit.lt(lane, 2),
        () => k.assign(x, k.let("y", kit.add(x, 2))),
        () => void k.var("x", f32(1)),
      );
    });
    expect(lines.filter((line) => /^(let|var)/.test(line))).toEqual(["var x = 0f;", "let y = x + 1f;", "let y = x + 2f;", "var x_1 = 1f;"]);
    expect(lines).toContain("} else {");
  });

  test("buffers bind in their order after the uniform; barriers and workgroup memory", () => {
    const text = module((k) => {
      const [from, to] = [k.bind(7), k.bind(3, "read_write")];
      const ids = k.bind(5, "read", "i32");
      const scratch = k.shared("scratch", kit.mul(k.override("POINTS", 64), 2));
      k.storeShared(scratch, lane, k.load(from, lane));
      k.barrier();
      k.store(to, u32(0), k.loadShared(scratch, kit.uint(k.load(ids, lane))));
    });
    expect(text).toBe(`struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<i32>;
override POINTS: u32 = 64u;
var<workgroup> scratch: array<f32, POINTS * 2u>;
@compute @workgroup_size(1u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  scratch[lane] = b1[lane];
  workgroupBarrier();
  b2[0u] = scratch[u32(b3[lane])];
}
`);
  });
});

describe("functions of our own", () => {
  const defined = (text: string): string[] => [...text.matchAll(/^fn (r_\w+)/gm)].map(([, name]) => name ?? "");

  test.each(["sigmoid", "softplus", "tanh", "erf", "exp", "log"] as const satisfies readonly ScalarFn[])(
    "%s is called by its name, and defined once where it is used, wherever that is",
    (fn) => {
      const twice = (k: kit.KernelBuilder): void => {
        const x = k.var("x", f32(1));
        k.for("i", 0, 3, () => k.if(kit.lt(callOf(fn, x), 0), () => k.assign(x, callOf(fn, callOf("abs", x)))));
      };
      expect(defined(module(twice))).toEqual([`r_${fn}`]);
      expect(module(twice)).toContain(`r_${fn}(abs(x))`);
    },
  );

  test("sine and cosine share their reduction", () => {
    const text = module((k) => void k.let("y", kit.add(callOf("sin", k.var("x", f32(1))), callOf("cos", f32(2)))));
    expect(defined(text)).toEqual(["r_turn", "r_sin", "r_cos"]);
  });

  test("a kernel without them defines none", () => {
    expect(defined(module((k) => void k.let("y", callOf("sqrt", k.var("x", f32(1))))))).toEqual([]);
  });

  test("one used only in the index of a store, or the step of a loop's bound, is defined", () => {
    const text = module((k) => {
      const to = k.bind(0, "read_write");
      k.store(to, kit.uint(callOf("exp", f32(1))), f32(0));
      k.for("i", u32(0), kit.uint(callOf("log", f32(9))), () => undefined);
    });
    expect(defined(text).toSorted()).toEqual(["r_exp", "r_log"]);
  });
});

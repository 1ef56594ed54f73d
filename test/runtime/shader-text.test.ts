/** The form of shaders in bundles: names counted back, read again as the same program. */
import { expect, test } from "vitest";
import { packShader } from "../../src/codegen/pack-shader.ts";
import { emitWgsl } from "../../src/codegen/wgsl.ts";
import { kernelBuilder, lane, mul } from "../../src/passes/schedules/kit.ts";
import { unpackShader } from "../../src/runtime/shader-text.ts";

const cases: readonly (readonly [string, string, string, string])[] = [
  [
    "a value is counted from the last",
    "{ let a = 1; let b = a + a; x[a] = b; }",
    "{$=1;$=$1+$1;x[$1]=$0;}",
    "{let _0=1;let _1=_0+_0;x[_0]=_1;}",
  ],
  [
    "a member, a parameter and a literal are no values",
    "fn f(p: u32) { let u = 1u; let f = d.u - p + 2f; }",
    "fn f(p: u32){$=1u;$=d.u-p+2f;}",
    "fn f(p: u32){let _0=1u;let _1=d.u-p+2f;}",
  ],
  [
    "an initializer sees the outer value of its name",
    "{ let a = 1; { let a = a; y = a; } y = a; }",
    "{$=1;{$=$1;y=$0;}y=$1;}",
    "{let _0=1;{let _1=_0;y=_1;}y=_0;}",
  ],
  [
    "a loop's variable ends with its block",
    "{ let i = 7; for (var i = 0u; i < 3u; i += 1u) { y[i] = i; } y = i; }",
    "{$=7;for (var $=0u;$0 < 3u;$0+=1u){y[$0]=$0;}y=$1;}",
    "{let _0=7;for (var _1=0u;_1 < 3u;_1+=1u){y[_1]=_1;}y=_0;}",
  ],
  ["a minus that would join another keeps its spaces", "{ let a = x - -1 % 2; }", "{$=x - -1%2;}", "{let _0=x - -1%2;}"],
  ["comments and indentation go", "let a // one\n    = 2;\n\nfn f() {\n}", "$\n=2;fn f(){}", "let _0\n=2;fn f(){}"],
  [
    "names of the module stay",
    "var<private> a: f32;\nfn f() { a = 1.0; }\nfn g() { let b = a; }",
    "var<private> a: f32;fn f(){a=1.0;}fn g(){$=a;}",
    "var<private> a: f32;fn f(){a=1.0;}fn g(){let _0=a;}",
  ],
  ["text that could be mistaken stays", "{ let _1 = 2; x = _1; }", "{let _1=2;x=_1;}", "{let _1=2;x=_1;}"],
];
test.each(cases)("%s", (_what, wgsl, packed, unpacked) => {
  expect(packShader(wgsl, "")).toBe(packed);
  expect(unpackShader(packed, "")).toBe(unpacked);
});

test("what shaders start with is left out", () => {
  const k = kernelBuilder("twice", 64);
  const [x, y] = [k.bind(0), k.bind(1, "read_write")];
  k.store(y, lane, mul(k.load(x, lane), 2));
  const packed = packShader(emitWgsl(k.finish().kernel), "rw");
  expect(packed).toMatch(/^#@f32;@f32;@compute/);
  expect(unpackShader(packed, "rw")).toMatch(/^struct Dims.*b2: array<f32>;@compute/);
});

test("a second round changes nothing, and distances have as many digits as they need", () => {
  const many = `{${Array.from({ length: 1500 }, (_, i) => `let v${i} = ${i === 0 ? "1" : `v0 + v${i >> 1}`};`).join("\n")}}`;
  const packed = packShader(many, "");
  const renamed = unpackShader(packed, "").replaceAll(/\b_(\d+)/g, "v$1");
  expect(renamed).toBe(many.replaceAll("\n", "").replaceAll(/ ?([=+]) ?/g, "$1"));
  expect(packShader(renamed, "")).toBe(packed);
  expect(packed.length).toBeLessThan(many.length);
});

/**
 * The form shaders have in a bundle. Kernels unrolled in registers repeat themselves but for the names of their values; so
 * a bundle counts names back from the last one, which makes the repetitions equal and lets the transport compress them:
 * `$` declares a value and `var $` a variable, `$0` is the last one declared, `$1` the one before it. What every shader starts with is
 * `#` for the sizes, and `@f32;` for a buffer of such.
 * `codegen/pack-shader.ts` writes this form.
 */

/** Where every shader finds the sizes known at run time. */
export const shaderDims = "struct Dims{B: u32,L: u32,t: u32,pos: u32,M: u32}@group(0) @binding(0) var<uniform> d: Dims;";
/** The declaration of buffer `binding`, read or written by its letter of the kernel's `access`. */
export const shaderBuffer = (access: string, binding: number, type: string): string =>
  `@group(0) @binding(${binding}) var<storage,read${access[binding - 1] === "r" ? "" : "_write"}> b${binding}: array<${type}>;`;

/** WGSL from the form of a bundle; text that is WGSL already stays as it is. */
export function unpackShader(text: string, access: string): string {
  let [declared, bound] = [0, 0];
  return text
    .replace("#", shaderDims)
    .replace(/@(\w+);/g, (_, type: string) => shaderBuffer(access, ++bound, type))
    .replace(/(var )?\$(\w*)/g, (_, variable: string | undefined, back: string) =>
      back === "" ? `${variable ?? "let "}_${declared++}` : `_${declared - 1 - parseInt(back, 36)}`,
    );
}

/**
 * The form shaders have in a bundle. Kernels unrolled in registers repeat themselves but for the names of their values; so
 * a bundle counts names back from the last one, which makes the repetitions equal and lets the transport compress them:
 * `$` names a new value, `$0` the last one named, `$1` the one before it. `codegen/pack-shader.ts` writes this form.
 */

/** WGSL from the form of a bundle; text that is WGSL already stays as it is. */
export function unpackShader(text: string): string {
  let named = 0;
  return text.replace(/\$(\w*)/g, (_, back: string) => `_${back === "" ? named++ : named - 1 - parseInt(back, 36)}`);
}

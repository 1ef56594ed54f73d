/** A bundle made by hand, whose model doubles `u` on the CPU, so that the command line is tested apart from the compiler. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const INDEX = `
const spec = { dtype: "f32", dims: ["B", "L", 2] };
export const load = async ({ gpu }) => {
  if (gpu === undefined) throw new Error("no gpu given");
  return {
    info: { name: "fake", inputs: [{ name: "u", ...spec }], outputs: [{ name: "y", ...spec }], modes: ["recurrence"], maxLength: 4 },
    destroy: () => {},
    run: async ({ u }, { mode }) => {
      if (u.dims[1] > 4) throw Object.assign(new Error('"u": dim L is ' + u.dims[1] + '; this bundle takes at most 4'), { code: "input-invalid" });
      if (u.data.includes(13)) throw new TypeError("a fault of ours");
      return { y: { data: u.data.map((v) => 2 * v), dims: u.dims }, ...(mode === "recurrence" ? { ids: { data: Int32Array.of(7), dims: [1] } } : {}) };
    },
  };
};
`;

/** Writes the bundle; gives its folder. */
export async function fakeBundle(parent: string, index: string = INDEX): Promise<string> {
  const folder = join(parent, "bundle");
  await mkdir(folder);
  await writeFile(join(folder, "index.js"), index);
  await writeFile(
    join(folder, "manifest.json"),
    JSON.stringify({ format: 1, name: "fake", graph: "", shards: [], costs: { length: 4, programs: {} } }),
  );
  return folder;
}

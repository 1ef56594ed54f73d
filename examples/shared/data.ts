/** What lies beside a page: the labels of its classes and the test inputs. Reads the u8 tensors of a safetensors file; no other kind. */

export interface TestSet {
  /** The raw bytes of input `index`. */
  readonly input: (index: number) => Uint8Array;
  readonly labels: Uint8Array;
  readonly count: number;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

async function fetchOk(file: string): Promise<Response> {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: the server answered ${response.status}`);
  return response;
}

/** The class names, in the order of the logits. */
export async function fetchLabels(): Promise<readonly string[]> {
  const config = (await (await fetchOk("config.json")).json()) as { readonly labels: readonly string[] };
  return config.labels;
}

/** The test inputs of `test.safetensors`. */
export async function fetchTestSet(): Promise<TestSet> {
  const file = await (await fetchOk("test.safetensors")).arrayBuffer();
  const headerBytes = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, headerBytes))) as Record<string, Entry>;
  const tensor = (name: string): Uint8Array => {
    const entry = header[name];
    if (entry?.dtype !== "U8") throw new Error(`test.safetensors holds no u8 tensor "${name}"`);
    const [from, to] = entry.data_offsets;
    return new Uint8Array(file, 8 + headerBytes + from, to - from);
  };
  const [inputs, labels] = [tensor("inputs"), tensor("labels")];
  const length = inputs.length / labels.length;
  return { labels, count: labels.length, input: (index) => inputs.subarray(index * length, (index + 1) * length) };
}

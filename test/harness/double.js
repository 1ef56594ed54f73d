/** Doubles 0..99 in a compute shader on the given `GPU`; for every place that claims to run WebGPU. */
export async function double(gpu) {
  const adapter = await gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const values = Float32Array.from({ length: 100 }, (_, i) => i);
  const usage = { map: 1, copySource: 4, copyTarget: 8, storage: 128 };
  const buffer = device.createBuffer({ size: 400, usage: usage.storage | usage.copySource | usage.copyTarget });
  const staging = device.createBuffer({ size: 400, usage: usage.map | usage.copyTarget });
  device.queue.writeBuffer(buffer, 0, values);
  const code = `
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { x[id.x] = 2.0 * x[id.x]; }
    }`;
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const layout = pipeline.getBindGroupLayout(0);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] }));
  pass.dispatchWorkgroups(2);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 400);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const result = [...new Float32Array(staging.getMappedRange().slice(0))];
  device.destroy();
  return result;
}

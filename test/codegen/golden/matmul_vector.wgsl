struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@compute @workgroup_size(60u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let column = grp.x * 10u + lane % 10u;
  let rest = lane / 10u;
  let position = grp.y * 6u + rest;
  let o = min(column, 9u);
  let q = min(position, d.B - 1u);
  var s0 = 0f;
  for (var k = 0u; k < 8u; k += 1u) {
    let row = k * 10u;
    let x = b2[q * 8u + k];
    s0 = b1[row + o] * x + s0;
  }
  if (column < 10u && position < d.B) {
    let e0 = b3[column];
    b4[q * 10u + column] = s0 + e0;
  }
}

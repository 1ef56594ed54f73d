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
  for (var k = 0u; k < 2u; k += 1u) {
    let first = k * 4u;
    let i = first + 1u;
    let i_1 = first + 2u;
    let i_2 = first + 3u;
    let row = first * 10u;
    let x = b2[q * 8u + first];
    s0 = b1[row + o] * x + s0;
    let row_1 = i * 10u;
    let x_1 = b2[q * 8u + i];
    s0 = b1[row_1 + o] * x_1 + s0;
    let row_2 = i_1 * 10u;
    let x_2 = b2[q * 8u + i_1];
    s0 = b1[row_2 + o] * x_2 + s0;
    let row_3 = i_2 * 10u;
    let x_3 = b2[q * 8u + i_2];
    s0 = b1[row_3 + o] * x_3 + s0;
  }
  if (column < 10u && position < d.B) {
    let e0 = b3[column];
    b4[q * 10u + column] = s0 + e0;
  }
}

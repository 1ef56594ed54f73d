struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let l = (grp.x * 64u) + lane;
  let h = grp.y;
  if (l < d.M) {
    let i = l % 64u;
    let j = l / 64u;
    var sum = select(0f, b3[h], l == 0u);
    let left_base = (h * 512u) + i;
    let right_base = ((h * 16u) + j) * 8u;
    for (var m = 0u; m < 8u; m += 1u) {
      sum = (b1[left_base + (m * 64u)] * b2[right_base + m]) + sum;
    }
    b4[(h * d.M) + l] = sum;
  }
}

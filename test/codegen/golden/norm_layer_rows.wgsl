struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let p = (grp.x + grp.y * 65535u) * 64u + lane;
  let b = p / d.L;
  let l = p - b * d.L;
  if (p < d.B * d.L) {
    var sum = 0f;
    for (var c = 0u; c < 8u; c += 1u) {
      sum = sum + b1[(b * 8u + c) * d.L + l];
    }
    let mean = sum * 0.125f;
    var squares = 0f;
    for (var c = 0u; c < 8u; c += 1u) {
      let v = b1[(b * 8u + c) * d.L + l] - mean;
      squares = v * v + squares;
    }
    let scale = inverseSqrt(squares * 0.125f + 0.00001f);
    for (var c = 0u; c < 8u; c += 1u) {
      let y = (b1[(b * 8u + c) * d.L + l] - mean) * scale;
      let e0 = b2[c];
      let e1 = b3[c];
      b4[(b * 8u + c) * d.L + l] = y * e0 + e1;
    }
  }
}

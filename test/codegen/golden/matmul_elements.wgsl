struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let i = (grp.x + grp.y * 65535u) * 64u + lane;
  if (i < d.B * 8u * d.L) {
    let first = i % d.L;
    let rest = i / d.L;
    let b = rest / 8u;
    let c = rest % 8u;
    let sum = b1[c] * b2[b * d.L + first];
    let e0 = b3[c];
    b4[(b * 8u + c) * d.L + first] = sum + e0;
  }
}

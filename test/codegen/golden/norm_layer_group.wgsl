struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
var<workgroup> sums: array<f32, 64u>;
var<workgroup> sums_1: array<f32, 64u>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let p = (grp.x + grp.y * 65535u) * 8u + lane % 8u;
  let from_ = lane / 8u;
  let end = select(0u, 8u, p < d.B);
  var sum = 0f;
  for (var c = from_; c < end; c += 8u) {
    sum = sum + b1[p * 8u + c];
  }
  sums[lane] = sum;
  workgroupBarrier();
  var joined = sums[lane % 8u];
  for (var part = 1u; part < 8u; part += 1u) {
    joined = joined + sums[lane % 8u + part * 8u];
  }
  let mean = joined * 0.125f;
  var squares = 0f;
  for (var c = from_; c < end; c += 8u) {
    let v = b1[p * 8u + c] - mean;
    squares = v * v + squares;
  }
  sums_1[lane] = squares;
  workgroupBarrier();
  var joined_1 = sums_1[lane % 8u];
  for (var part = 1u; part < 8u; part += 1u) {
    joined_1 = joined_1 + sums_1[lane % 8u + part * 8u];
  }
  let scale = inverseSqrt(joined_1 * 0.125f + 0.00001f);
  for (var c = from_; c < end; c += 8u) {
    let y = (b1[p * 8u + c] - mean) * scale;
    let e0 = b2[c];
    let e1 = b3[c];
    b4[p * 8u + c] = y * e0 + e1;
  }
}

struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
var<workgroup> sums: array<f32, 64u>;
var<workgroup> scratch: array<f32, 64u>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  var sum = 0f;
  for (var c = lane; c < 8u; c += 64u) {
    sum = sum + b1[grp.x * 8u + c];
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane < 8u) {
    var joined = sums[lane];
    for (var part = 1u; part < 8u; part += 1u) {
      joined = joined + sums[lane + part * 8u];
    }
    sums[lane] = joined;
  }
  workgroupBarrier();
  var joined = sums[0u];
  for (var part = 1u; part < 8u; part += 1u) {
    joined = joined + sums[part];
  }
  let mean = joined * 0.125f;
  var squares = 0f;
  for (var c = lane; c < 8u; c += 64u) {
    let v = b1[grp.x * 8u + c] - mean;
    squares = v * v + squares;
  }
  scratch[lane] = squares;
  workgroupBarrier();
  if (lane < 8u) {
    var joined_1 = scratch[lane];
    for (var part = 1u; part < 8u; part += 1u) {
      joined_1 = joined_1 + scratch[lane + part * 8u];
    }
    scratch[lane] = joined_1;
  }
  workgroupBarrier();
  var joined_1 = scratch[0u];
  for (var part = 1u; part < 8u; part += 1u) {
    joined_1 = joined_1 + scratch[part];
  }
  let scale = inverseSqrt(joined_1 * 0.125f + 0.00001f);
  for (var c = lane; c < 8u; c += 64u) {
    let y = (b1[grp.x * 8u + c] - mean) * scale;
    let e0 = b2[c];
    let e1 = b3[c];
    b4[grp.x * 8u + c] = y * e0 + e1;
  }
}

struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;
var<workgroup> scratch: array<f32, 64u>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  var sum = 0f;
  for (var l = lane; l < d.L; l += 64u) {
    sum = sum + b1[(grp.y * 8u + grp.x) * d.L + l];
  }
  scratch[lane] = sum;
  workgroupBarrier();
  if (lane < 8u) {
    var joined = scratch[lane];
    for (var part = 1u; part < 8u; part += 1u) {
      joined = joined + scratch[lane + part * 8u];
    }
    scratch[lane] = joined;
  }
  workgroupBarrier();
  var joined = scratch[0u];
  for (var part = 1u; part < 8u; part += 1u) {
    joined = joined + scratch[part];
  }
  if (lane == 0u) {
    let before = b2[grp.y * 8u + grp.x];
    let value = select(before + joined, joined, d.pos == 0u);
    b2[grp.y * 8u + grp.x] = value;
    let mean = value / f32(d.pos + d.L);
    b3[grp.y * 8u + grp.x] = mean;
  }
}

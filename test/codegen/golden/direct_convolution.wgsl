struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
fn r_erf(x: f32) -> f32 {
  let a = select(abs(x), 4.0, abs(x) > 4.0);
  if (a < 1.0) { let s = 2.0 * x * x - 1.0; return x * ((((((0.00000123164f * s + -0.000017669081f) * s + 0.00021751199f) * s + -0.0022854195f) * s + 0.019852499f) * s + -0.1405361f) * s + 0.96546876f); }
  let s = (a - 2.5) / 1.5;
  return select(x, sign(x) * (1.0 - exp(-(((((((0.00022740343f * s + -0.00096430414f) * s + 0.0031904727f) * s + -0.010909416f) * s + 0.036647495f) * s + 2.1237504f) * s + 8.029021f) * s + 7.8068156f))), x == x);
}
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let l = grp.x * 64u + lane;
  if (l < d.L) {
    var sum = 0f;
    for (var j = 0u; j < l + 1u; j += 1u) {
      sum = b1[grp.y * d.M + j] * b2[(grp.z * 8u + grp.y) * d.L + (l - j)] + sum;
    }
    let y = sum + b3[(grp.z * 8u + grp.y) * d.L + l];
    b4[(grp.z * 8u + grp.y) * d.L + l] = 0.5f * y * (1f + r_erf(0.70710677f * y));
  }
}

struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read_write> b5: array<f32>;
fn r_erf(x: f32) -> f32 {
  let a = select(abs(x), 4.0, abs(x) > 4.0);
  if (a < 1.0) { let s = 2.0 * x * x - 1.0; return x * ((((((0.00000123164f * s + -0.000017669081f) * s + 0.00021751199f) * s + -0.0022854195f) * s + 0.019852499f) * s + -0.1405361f) * s + 0.96546876f); }
  let s = (a - 2.5) / 1.5;
  return select(x, sign(x) * (1.0 - exp(-(((((((0.00022740343f * s + -0.00096430414f) * s + 0.0031904727f) * s + -0.010909416f) * s + 0.036647495f) * s + 2.1237504f) * s + 8.029021f) * s + 7.8068156f))), x == x);
}
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let i = (grp.x + grp.y * 65535u) * 64u + lane;
  if (i < d.B * 8u) {
    let b = i / 8u;
    let h = i % 8u;
    let u = b2[b * 8u + h];
    var sum = 0f;
    for (var n = 0u; n < 4u; n += 1u) {
      let pole0 = b3[n * 8u + h];
      let pole1 = b3[(n + 4u) * 8u + h];
      let pole2 = b3[(n + 8u) * 8u + h];
      let pole3 = b3[(n + 12u) * 8u + h];
      let pole4 = b3[(n + 16u) * 8u + h];
      let pole5 = b3[(n + 20u) * 8u + h];
      let at = (b * 8u + n * 2u) * 8u + h;
      let x_re = b1[at];
      let x_im = b1[at + 8u];
      let grid = bitcast<f32>(bitcast<u32>(max(abs(x_re), abs(x_im))) & 2139095040u) * 12288f;
      let upper_re = bitcast<f32>(bitcast<u32>(x_re + grid) | (d.B >> 31u)) - grid;
      let upper_im = bitcast<f32>(bitcast<u32>(x_im + grid) | (d.B >> 31u)) - grid;
      let exact_re = pole0 * upper_re - pole1 * upper_im;
      let exact_im = pole0 * upper_im + pole1 * upper_re;
      let lower_re = x_re - upper_re + b1[at + d.B * 64u];
      let lower_im = x_im - upper_im + b1[at + d.B * 64u + 8u];
      let rest_re = pole0 * lower_re - pole1 * lower_im + (pole2 * x_re - pole3 * x_im + u);
      let rest_im = pole0 * lower_im + pole1 * lower_re + (pole2 * x_im + pole3 * x_re);
      let next_re = bitcast<f32>(bitcast<u32>(exact_re + rest_re) | (d.B >> 31u));
      let next_im = bitcast<f32>(bitcast<u32>(exact_im + rest_im) | (d.B >> 31u));
      let lost_re = rest_re - bitcast<f32>(bitcast<u32>(next_re - exact_re) | (d.B >> 31u));
      let lost_im = rest_im - bitcast<f32>(bitcast<u32>(next_im - exact_im) | (d.B >> 31u));
      b1[at] = next_re;
      b1[at + 8u] = next_im;
      b1[at + d.B * 64u] = lost_re;
      b1[at + d.B * 64u + 8u] = lost_im;
      sum = pole4 * next_re + sum - pole5 * next_im;
    }
    let y = b4[h] * u + sum;
    b5[b * 8u + h] = 0.5f * y * (1f + r_erf(0.70710677f * y));
  }
}

struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read_write> b5: array<f32>;
var<workgroup> contributions: array<f32, 264u>;
fn r_erf(x: f32) -> f32 {
  let a = select(abs(x), 4.0, abs(x) > 4.0);
  if (a < 1.0) { let s = 2.0 * x * x - 1.0; return x * ((((((0.00000123164f * s + -0.000017669081f) * s + 0.00021751199f) * s + -0.0022854195f) * s + 0.019852499f) * s + -0.1405361f) * s + 0.96546876f); }
  let s = (a - 2.5) / 1.5;
  return select(x, sign(x) * (1.0 - exp(-(((((((0.00022740343f * s + -0.00096430414f) * s + 0.0031904727f) * s + -0.010909416f) * s + 0.036647495f) * s + 2.1237504f) * s + 8.029021f) * s + 7.8068156f))), x == x);
}
@compute @workgroup_size(32u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let n = lane % 4u;
  let channel = grp.x * 8u + lane / 4u;
  let h = min(channel, 7u);
  let pole0 = b2[n * 8u + h];
  let pole1 = b2[(n + 4u) * 8u + h];
  let pole2 = b2[(n + 8u) * 8u + h];
  let pole3 = b2[(n + 12u) * 8u + h];
  let pole4 = b2[(n + 16u) * 8u + h];
  let pole5 = b2[(n + 20u) * 8u + h];
  let at = (grp.y * 8u + n * 2u) * 8u + h;
  var x_re = b1[at];
  var x_im = b1[at + 8u];
  var lost_re = b1[at + d.B * 64u];
  var lost_im = b1[at + d.B * 64u + 8u];
  for (var first = 0u; first < d.L; first += 8u) {
    let count = min(8u, d.L - first);
    for (var i = 0u; i < count; i += 1u) {
      let u = b3[(grp.y * 8u + h) * d.L + (first + i)];
      let grid = bitcast<f32>(bitcast<u32>(max(abs(x_re), abs(x_im))) & 2139095040u) * 12288f;
      let upper_re = bitcast<f32>(bitcast<u32>(x_re + grid) | (d.B >> 31u)) - grid;
      let upper_im = bitcast<f32>(bitcast<u32>(x_im + grid) | (d.B >> 31u)) - grid;
      let exact_re = pole0 * upper_re - pole1 * upper_im;
      let exact_im = pole0 * upper_im + pole1 * upper_re;
      let lower_re = x_re - upper_re + lost_re;
      let lower_im = x_im - upper_im + lost_im;
      let rest_re = pole0 * lower_re - pole1 * lower_im + (pole2 * x_re - pole3 * x_im + u);
      let rest_im = pole0 * lower_im + pole1 * lower_re + (pole2 * x_im + pole3 * x_re);
      let next_re = bitcast<f32>(bitcast<u32>(exact_re + rest_re) | (d.B >> 31u));
      let next_im = bitcast<f32>(bitcast<u32>(exact_im + rest_im) | (d.B >> 31u));
      let lost_re_1 = rest_re - bitcast<f32>(bitcast<u32>(next_re - exact_re) | (d.B >> 31u));
      let lost_im_1 = rest_im - bitcast<f32>(bitcast<u32>(next_im - exact_im) | (d.B >> 31u));
      x_re = next_re;
      x_im = next_im;
      lost_re = lost_re_1;
      lost_im = lost_im_1;
      contributions[i * 33u + lane] = pole4 * next_re - pole5 * next_im;
    }
    workgroupBarrier();
    for (var o = lane; o < count * 8u; o += 32u) {
      let own_head = o / count;
      let own_i = o - own_head * count;
      let own_c = grp.x * 8u + own_head;
      if (own_c < 8u && own_i < count) {
        let own_l = first + own_i;
        var sum = b4[own_c] * b3[(grp.y * 8u + own_c) * d.L + own_l];
        let base = own_i * 33u + own_head * 4u;
        for (var m = 0u; m < 4u; m += 1u) {
          sum = sum + contributions[base + m];
        }
        b5[(grp.y * 8u + own_c) * d.L + own_l] = 0.5f * sum * (1f + r_erf(0.70710677f * sum));
      }
    }
    workgroupBarrier();
  }
  if (channel < 8u) {
    b1[at] = x_re;
    b1[at + 8u] = x_im;
    b1[at + d.B * 64u] = lost_re;
    b1[at + d.B * 64u + 8u] = lost_im;
  }
}

struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let i = (grp.x + grp.y * 65535u) * 64u + lane;
  if (i < d.B * 32u) {
    let b = i / 32u;
    let rest = i % 32u;
    let h = rest / 4u;
    let n = rest % 4u;
    let pole0 = b2[n * 8u + h];
    let pole1 = b2[(n + 4u) * 8u + h];
    let pole2 = b2[(n + 8u) * 8u + h];
    let pole3 = b2[(n + 12u) * 8u + h];
    let pole4 = b2[(n + 16u) * 8u + h];
    let pole5 = b2[(n + 20u) * 8u + h];
    let at = (b * 8u + n * 2u) * 8u + h;
    var x_re = b1[at];
    var x_im = b1[at + 8u];
    var lost_re = b1[at + d.B * 64u];
    var lost_im = b1[at + d.B * 64u + 8u];
    for (var l = 0u; l < d.L; l += 1u) {
      let u = b3[(b * 8u + h) * d.L + l];
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
    }
    b1[at] = x_re;
    b1[at + 8u] = x_im;
    b1[at + d.B * 64u] = lost_re;
    b1[at + d.B * 64u + 8u] = lost_im;
  }
}

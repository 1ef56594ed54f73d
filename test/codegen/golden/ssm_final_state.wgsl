struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let i = ((grp.x + (grp.y * 65535u)) * 64u) + lane;
  if (i < (d.B * 32u)) {
    let b = i / 32u;
    let rest = i % 32u;
    let h = rest / 4u;
    let n = rest % 4u;
    let pole0 = b2[(n * 8u) + h];
    let pole1 = b2[((n + 4u) * 8u) + h];
    let pole2 = b2[((n + 8u) * 8u) + h];
    let pole3 = b2[((n + 12u) * 8u) + h];
    let pole4 = b2[((n + 16u) * 8u) + h];
    let pole5 = b2[((n + 20u) * 8u) + h];
    let at = (((b * 8u) + (n * 2u)) * 8u) + h;
    var x_re = b1[at];
    var x_im = b1[at + 8u];
    for (var l = 0u; l < d.L; l += 1u) {
      let u = b3[(((b * 8u) + h) * d.L) + l];
      let next_re = ((pole0 * x_re) - (pole1 * x_im)) + (((pole2 * x_re) - (pole3 * x_im)) + u);
      let next_im = ((pole0 * x_im) + (pole1 * x_re)) + ((pole2 * x_im) + (pole3 * x_re));
      x_re = next_re;
      x_im = next_im;
    }
    let at_1 = (((b * 8u) + (n * 2u)) * 8u) + h;
    b1[at_1] = x_re;
    b1[at_1 + 8u] = x_im;
  }
}

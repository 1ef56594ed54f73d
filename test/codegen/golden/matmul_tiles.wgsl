struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read> b5: array<f32>;
@group(0) @binding(6) var<storage, read_write> b6: array<f32>;
var<workgroup> xs: array<f32, 2048u>;
var<workgroup> ws: array<f32, 256u>;
fn r_sigmoid(x: f32) -> f32 { let e = exp(-abs(x)); return select(e, 1.0, x >= 0.0) / (1.0 + e); }
@compute @workgroup_size(256u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let total = d.B * d.L;
  let p = grp.x * 128u;
  let o = grp.y * 8u;
  let near = lane % 32u;
  let far = lane / 32u;
  let own = lane % 128u;
  let row = lane / 128u;
  let q = min(p + own, total - 1u);
  let b = q / d.L;
  let l = q - b * d.L;
  var value = 0f;
  let i = row + 2u;
  var value_1 = 0f;
  let i_1 = row + 4u;
  var value_2 = 0f;
  let i_2 = row + 6u;
  var value_3 = 0f;
  let i_3 = row + 8u;
  var value_4 = 0f;
  let i_4 = row + 10u;
  var value_5 = 0f;
  let i_5 = row + 12u;
  var value_6 = 0f;
  let i_6 = row + 14u;
  var value_7 = 0f;
  let e = lane;
  let j = e / 16u;
  let o_1 = o + e % 16u % 8u + e % 16u / 8u * 8u;
  var word = 0f;
  var s0_0 = 0f;
  var s0_1 = 0f;
  var s0_2 = 0f;
  var s0_3 = 0f;
  var s1_0 = 0f;
  var s1_1 = 0f;
  var s1_2 = 0f;
  var s1_3 = 0f;
  value = b2[(b * 8u + min(row, 7u)) * d.L + l];
  value_1 = b2[(b * 8u + min(i, 7u)) * d.L + l];
  value_2 = b2[(b * 8u + min(i_1, 7u)) * d.L + l];
  value_3 = b2[(b * 8u + min(i_2, 7u)) * d.L + l];
  value_4 = b2[(b * 8u + min(i_3, 7u)) * d.L + l];
  value_5 = b2[(b * 8u + min(i_4, 7u)) * d.L + l];
  value_6 = b2[(b * 8u + min(i_5, 7u)) * d.L + l];
  value_7 = b2[(b * 8u + min(i_6, 7u)) * d.L + l];
  let at = min(j, 7u);
  word = b1[at * 16u + o_1];
  for (var first = 0u; first < 8u; first += 16u) {
    workgroupBarrier();
    xs[row * 128u + own] = value;
    xs[i * 128u + own] = value_1;
    xs[i_1 * 128u + own] = value_2;
    xs[i_2 * 128u + own] = value_3;
    xs[i_3 * 128u + own] = value_4;
    xs[i_4 * 128u + own] = value_5;
    xs[i_5 * 128u + own] = value_6;
    xs[i_6 * 128u + own] = value_7;
    ws[e] = word;
    workgroupBarrier();
    let next = first + 16u;
    if (next < 8u) {
      value = b2[(b * 8u + min(next + row, 7u)) * d.L + l];
      value_1 = b2[(b * 8u + min(next + i, 7u)) * d.L + l];
      value_2 = b2[(b * 8u + min(next + i_1, 7u)) * d.L + l];
      value_3 = b2[(b * 8u + min(next + i_2, 7u)) * d.L + l];
      value_4 = b2[(b * 8u + min(next + i_3, 7u)) * d.L + l];
      value_5 = b2[(b * 8u + min(next + i_4, 7u)) * d.L + l];
      value_6 = b2[(b * 8u + min(next + i_5, 7u)) * d.L + l];
      value_7 = b2[(b * 8u + min(next + i_6, 7u)) * d.L + l];
      let at_1 = min(next + j, 7u);
      word = b1[at_1 * 16u + o_1];
    }
    for (var i_7 = 0u; i_7 < min(16u, 8u - first); i_7 += 1u) {
      let x0 = xs[i_7 * 128u + near];
      let x1 = xs[i_7 * 128u + (near + 32u)];
      let x2 = xs[i_7 * 128u + (near + 64u)];
      let x3 = xs[i_7 * 128u + (near + 96u)];
      let column = i_7 * 16u + far;
      let w = ws[column];
      s0_0 = w * x0 + s0_0;
      s0_1 = w * x1 + s0_1;
      s0_2 = w * x2 + s0_2;
      s0_3 = w * x3 + s0_3;
      let w_1 = ws[column + 8u];
      s1_0 = w_1 * x0 + s1_0;
      s1_1 = w_1 * x1 + s1_1;
      s1_2 = w_1 * x2 + s1_2;
      s1_3 = w_1 * x3 + s1_3;
    }
  }
  let c = o + far;
  let p0 = p + near;
  let b_1 = p0 / d.L;
  let l_1 = p0 - b_1 * d.L;
  if (p0 < total) {
    let e0 = b3[c];
    let e1 = b4[c];
    let e2 = b5[(b_1 * 8u + c) * d.L + l_1];
    b6[(b_1 * 8u + c) * d.L + l_1] = e2 + (s0_0 + e0) * r_sigmoid(s1_0 + e1);
  }
  let p1 = p + (near + 32u);
  let b_2 = p1 / d.L;
  let l_2 = p1 - b_2 * d.L;
  if (p1 < total) {
    let e0 = b3[c];
    let e1 = b4[c];
    let e2 = b5[(b_2 * 8u + c) * d.L + l_2];
    b6[(b_2 * 8u + c) * d.L + l_2] = e2 + (s0_1 + e0) * r_sigmoid(s1_1 + e1);
  }
  let p2 = p + (near + 64u);
  let b_3 = p2 / d.L;
  let l_3 = p2 - b_3 * d.L;
  if (p2 < total) {
    let e0 = b3[c];
    let e1 = b4[c];
    let e2 = b5[(b_3 * 8u + c) * d.L + l_3];
    b6[(b_3 * 8u + c) * d.L + l_3] = e2 + (s0_2 + e0) * r_sigmoid(s1_2 + e1);
  }
  let p3 = p + (near + 96u);
  let b_4 = p3 / d.L;
  let l_4 = p3 - b_4 * d.L;
  if (p3 < total) {
    let e0 = b3[c];
    let e1 = b4[c];
    let e2 = b5[(b_4 * 8u + c) * d.L + l_4];
    b6[(b_4 * 8u + c) * d.L + l_4] = e2 + (s0_3 + e0) * r_sigmoid(s1_3 + e1);
  }
}

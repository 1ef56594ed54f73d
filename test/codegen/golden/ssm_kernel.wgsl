struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@compute @workgroup_size(64u)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {
  let place = grp.x * 64u + lane;
  let h = grp.y;
  let quad = place % 16u;
  let first_row = place / 16u * 4u;
  let first = first_row * 64u + quad * 4u;
  if (first < d.M) {
    let last_row = (d.M - 1u) / 64u;
    let row0 = (h * 16u + min(first_row, last_row)) * 8u;
    let row1 = (h * 16u + min(first_row + 1u, last_row)) * 8u;
    let row2 = (h * 16u + min(first_row + 2u, last_row)) * 8u;
    let row3 = (h * 16u + min(first_row + 3u, last_row)) * 8u;
    var sum0 = vec4f(0f);
    var sum1 = vec4f(0f);
    var sum2 = vec4f(0f);
    var sum3 = vec4f(0f);
    let left_base = h * 128u + quad;
    for (var m = 0u; m < 8u; m += 1u) {
      let four = b1[left_base + m * 16u];
      sum0 = four * b2[row0 + m] + sum0;
      sum1 = four * b2[row1 + m] + sum1;
      sum2 = four * b2[row2 + m] + sum2;
      sum3 = four * b2[row3 + m] + sum3;
    }
    let direct = select(0f, b3[h], first == 0u);
    if (first < d.M) {
      b4[h * d.M + first] = sum0.x + direct;
    }
    let l = first + 1u;
    if (l < d.M) {
      b4[h * d.M + l] = sum0.y;
    }
    let l_1 = first + 2u;
    if (l_1 < d.M) {
      b4[h * d.M + l_1] = sum0.z;
    }
    let l_2 = first + 3u;
    if (l_2 < d.M) {
      b4[h * d.M + l_2] = sum0.w;
    }
    let l_3 = first + 64u;
    if (l_3 < d.M) {
      b4[h * d.M + l_3] = sum1.x;
    }
    let l_4 = first + 65u;
    if (l_4 < d.M) {
      b4[h * d.M + l_4] = sum1.y;
    }
    let l_5 = first + 66u;
    if (l_5 < d.M) {
      b4[h * d.M + l_5] = sum1.z;
    }
    let l_6 = first + 67u;
    if (l_6 < d.M) {
      b4[h * d.M + l_6] = sum1.w;
    }
    let l_7 = first + 128u;
    if (l_7 < d.M) {
      b4[h * d.M + l_7] = sum2.x;
    }
    let l_8 = first + 129u;
    if (l_8 < d.M) {
      b4[h * d.M + l_8] = sum2.y;
    }
    let l_9 = first + 130u;
    if (l_9 < d.M) {
      b4[h * d.M + l_9] = sum2.z;
    }
    let l_10 = first + 131u;
    if (l_10 < d.M) {
      b4[h * d.M + l_10] = sum2.w;
    }
    let l_11 = first + 192u;
    if (l_11 < d.M) {
      b4[h * d.M + l_11] = sum3.x;
    }
    let l_12 = first + 193u;
    if (l_12 < d.M) {
      b4[h * d.M + l_12] = sum3.y;
    }
    let l_13 = first + 194u;
    if (l_13 < d.M) {
      b4[h * d.M + l_13] = sum3.z;
    }
    let l_14 = first + 195u;
    if (l_14 < d.M) {
      b4[h * d.M + l_14] = sum3.w;
    }
  }
}

// Packing of weights into the forms of matrix.h.
#pragma once
#include <math.h>

#include "matrix.h"

namespace {


// Round 32 weights to w = d q + m with q in 0..15; return the largest error by the largest weight.
float pack_q4(const float *w, uint8_t *codes, uint8_t *scales, int64_t lane) {
  float low = w[0], high = w[0], most = 0, worst = 0;
  for (int i = 0; i < GROUP; i++) {
    low = w[i] < low ? w[i] : low;
    high = w[i] > high ? w[i] : high;
    most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
  }
  const uint16_t d16 = float_to_f16((high - low) / 15.0f), m16 = float_to_f16(low);
  const float d = f16_to_float(d16), m = f16_to_float(m16), inverse = d > 0 ? 1.0f / d : 0.0f;
  memcpy(scales + 2 * lane, &d16, 2);
  memcpy(scales + 2 * (ROWS + lane), &m16, 2);
  for (int i = 0; i < GROUP; i++) {
    float q = floorf((w[i] - m) * inverse + 0.5f);
    q = q < 0 ? 0 : q > 15 ? 15 : q;
    worst = fmaxf(worst, fabsf(w[i] - (d * q + m)));
    // Vector v of inputs 4 v ..: low nibbles hold the first half of the group.
    uint8_t *byte = codes + 64 * ((i / 4) % 4) + 4 * lane + i % 4;
    *byte = (uint8_t)(*byte | (uint8_t)q << (i < 16 ? 0 : 4));
  }
  return most > 0 ? worst / most : 0.0f;
}

float pack_q8(const float *w, uint8_t *codes, uint8_t *scales, int64_t lane) {
  float most = 0, worst = 0;
  for (int i = 0; i < GROUP; i++) most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
  const uint16_t d16 = float_to_f16(most / 127.0f);
  const float d = f16_to_float(d16), inverse = d > 0 ? 1.0f / d : 0.0f;
  memcpy(scales + 2 * lane, &d16, 2);
  for (int i = 0; i < GROUP; i++) {
    float q = floorf(w[i] * inverse + 0.5f);
    q = q < -127 ? -127 : q > 127 ? 127 : q;
    worst = fmaxf(worst, fabsf(w[i] - d * q));
    codes[64 * (i / 4) + 4 * lane + i % 4] = (uint8_t)((int)q + 128);
  }
  return most > 0 ? worst / most : 0.0f;
}

// Pack [outputs, inputs] float32 into zeroed memory; return the largest error of a weight relative
// to the largest in its group, or the first one above `limit`.
float pack(const float *w, int64_t outputs, int64_t inputs, int64_t form, int64_t block_bytes,
           int64_t code_bytes, int64_t scale_bytes, float limit, uint8_t *packed) {
  const int64_t groups = (inputs + GROUP - 1) / GROUP;
  float worst = 0;
  for (int64_t row = 0; row < outputs && worst <= limit; row++) {
    uint8_t *block = packed + row / ROWS * block_bytes;
    const int64_t lane = row % ROWS;
    for (int64_t g = 0; g < groups; g++) {
      float group[GROUP] = {};
      const int64_t left = inputs - g * GROUP;
      memcpy(group, w + row * inputs + g * GROUP,
             4 * (left < GROUP ? left : GROUP));
      uint8_t *codes = block + g * code_bytes;
      uint8_t *scales = block + groups * code_bytes + g * scale_bytes;
      if (form == FORM_Q4) worst = fmaxf(worst, pack_q4(group, codes, scales, lane));
      if (form == FORM_Q8) worst = fmaxf(worst, pack_q8(group, codes, scales, lane));
      for (int i = 0; form >= FORM_BF16 && i < GROUP; i++)
        set_element(codes, form == FORM_BF16 ? BFLOAT16 : FLOAT32, i * ROWS + lane,
                    group[i]);
    }
  }
  return worst;
}

}  // namespace

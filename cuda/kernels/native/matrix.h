// Products of small batches with packed weights: 4 or 8 bits in groups of 32, bfloat16 or float32.
//
// Rows are interleaved by 16, so that a vector's lanes are outputs and nothing is summed across
// lanes. With integer weights the activations are rounded to 8 bits per group of 32 inputs, as in
// llama.cpp's Q8_0; sums over a group are exact in int32.
#pragma once
#include <math.h>

#include "common.h"
#include "vectors.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t ROWS = 16, GROUP = 32;

inline int64_t groups_of(const Matrix *m) { return (m->inputs + GROUP - 1) / GROUP; }
inline int64_t blocks_of(const Matrix *m) { return (m->outputs + ROWS - 1) / ROWS; }

// Bytes of the codes and of all that a block of 16 rows takes; codes first, scales after them.
inline int64_t code_bytes(int form) {
  return form == FORM_Q4 ? 256 : form == FORM_Q8 ? 512 : form == FORM_BF16 ? 1024 : 2048;
}
inline int64_t scale_bytes(int form) { return form == FORM_Q4 ? 64 : form == FORM_Q8 ? 32 : 0; }
inline int64_t block_bytes(const Matrix *m) {
  return (groups_of(m) * (code_bytes(m->form) + scale_bytes(m->form)) + 63) / 64 * 64;
}

// Inputs of a product: floats padded with zeros, and their codes when the weights are integers.
struct Activations {
  float *values;   // [rows, padded]
  int8_t *codes;   // [rows, padded]
  float *scale;    // [rows, groups]
  int32_t *total;  // [rows, groups]: sum of the codes
  int64_t padded;
};

void quantise(const Activations &a, int64_t rows) {
  const int64_t groups = a.padded / GROUP;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t g = 0; g < groups; g++) {
      const float *x = a.values + r * a.padded + g * GROUP;
      int8_t *code = a.codes + r * a.padded + g * GROUP;
      float most = 0, poison = 0;
      for (int i = 0; i < GROUP; i++) {
        float size = fabsf(x[i]);
        most = size > most ? size : most;
        poison += x[i] * 0.0f;  // NaN when an input is NaN or infinite
      }
      const float inverse = most > 0 ? 127.0f / most : 0.0f;
      int32_t total = 0;
      for (int i = 0; i < GROUP; i++) {
        // Adding 1.5 * 2^23 rounds to an integer in the low bits.
        int32_t q = (int32_t)float_to_bits(x[i] * inverse + 12582912.0f) - 0x4b400000;
        q = poison != poison ? 0 : q;
        code[i] = (int8_t)q;
        total += q;
      }
      a.scale[r * groups + g] = most / 127.0f + poison;
      a.total[r * groups + g] = total;
    }
}

// 32 inputs of W outputs: byte 4 i + k of vector v is output i, input 4 v + k.
typedef uint8_t vq __attribute__((vector_size(4 * W)));
struct Codes {
  vq v[8];
};

template <int FORM> inline Codes codes_at(const uint8_t *group, int part) {
  Codes c;
  for (int v = 0; v < (FORM == FORM_Q4 ? 4 : 8); v++) {
    vq x = load<vq>(group + 64 * v + 4 * W * part);
    if (FORM == FORM_Q4) {
      c.v[v] = x & 15;
      c.v[v + 4] = (vq)((vu)x >> 4) & 15;
    } else {
      c.v[v] = x;
    }
  }
  return c;
}

// Sums of code * activation over a group. Q8 codes are stored plus 128.
template <int FORM> inline vi group_sum(const Codes &c, const int8_t *x, int32_t total) {
  const int32_t *four = (const int32_t *)x;
#if defined(__AVX512VNNI__)
  __m512i even = _mm512_set1_epi32(FORM == FORM_Q8 ? -128 * total : 0), odd = {};
  for (int v = 0; v < 8; v += 2) {
    even = _mm512_dpbusd_epi32(even, (__m512i)c.v[v], _mm512_set1_epi32(four[v]));
    odd = _mm512_dpbusd_epi32(odd, (__m512i)c.v[v + 1], _mm512_set1_epi32(four[v + 1]));
  }
  return (vi)_mm512_add_epi32(even, odd);
#elif defined(__AVX2__)
  (void)total;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (int v = 0; v < 8; v++) {
    __m256i w = (__m256i)c.v[v], a = _mm256_set1_epi32(four[v]);
    if (FORM == FORM_Q4) {
      // 8 pairs of at most 2 * 15 * 127 stay below 2^15.
      sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, a));
    } else {
      // |w| * (sign(w) a): pairs of at most 2 * 127 * 127 stay below 2^15.
      __m256i s = _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
      __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(s), _mm256_sign_epi8(a, s));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
  }
  return (vi)(FORM == FORM_Q4 ? _mm256_madd_epi16(sum, ones) : sum);
#else
  (void)total, (void)four;
  vi sum = {};
  for (int v = 0; v < 8; v++)
    for (int i = 0; i < W; i++)
      for (int k = 0; k < 4; k++)
        sum[i] += ((int32_t)c.v[v][4 * i + k] - (FORM == FORM_Q8 ? 128 : 0)) * x[4 * v + k];
  return sum;
#endif
}

// Outputs of one block's part (W of its rows) for T rows of activations.
template <int FORM, int T>
inline void integer_part(const uint8_t *block, int64_t groups, int part, const Activations &a,
                         int64_t row, vf *sum) {
  const uint8_t *scales = block + groups * code_bytes(FORM);
  for (int t = 0; t < T; t++) sum[t] = vf{};
  for (int64_t g = 0; g < groups; g++) {
    const Codes c = codes_at<FORM>(block + g * code_bytes(FORM), part);
    const uint8_t *at = scales + g * scale_bytes(FORM) + 2 * W * part;
    const vf d = widen_f16(load<vh>(at));
    vf m = {};
    if (FORM == FORM_Q4) m = widen_f16(load<vh>(at + 2 * ROWS));
    for (int t = 0; t < T; t++) {
      const int64_t i = (row + t) * groups + g;
      const vi dot = group_sum<FORM>(c, a.codes + (row + t) * a.padded + g * GROUP, a.total[i]);
      sum[t] += __builtin_convertvector(dot, vf) * (d * a.scale[i]);
      if (FORM == FORM_Q4) sum[t] += m * (a.scale[i] * (float)a.total[i]);
    }
  }
}

template <int FORM, int T>
inline void float_part(const uint8_t *block, int64_t groups, int part, const Activations &a,
                       int64_t row, vf *sum) {
  // Two chains of sums for few rows: a fused multiply-add takes four cycles.
  constexpr int CHAINS = T < 4 ? 4 : 1;
  vf chain[CHAINS][T];
  for (int c = 0; c < CHAINS; c++)
    for (int t = 0; t < T; t++) chain[c][t] = vf{};
  for (int64_t i = 0; i < groups * GROUP; i += CHAINS)
    for (int c = 0; c < CHAINS; c++) {
      vf w;
      if (FORM == FORM_BF16)
        w = widen_bf16(load<vh>((const uint16_t *)block + (i + c) * ROWS + W * part));
      else
        w = load<vf>((const float *)block + (i + c) * ROWS + W * part);
      for (int t = 0; t < T; t++) chain[c][t] += w * a.values[(row + t) * a.padded + i + c];
    }
  for (int t = 0; t < T; t++) {
    sum[t] = chain[0][t];
    for (int c = 1; c < CHAINS; c++) sum[t] += chain[c][t];
  }
}

// Where results go: a block's 16 outputs at out[row * stride]; `add` adds to what is there.
struct Target {
  float *out;
  int64_t stride;
  bool add;
};

template <int FORM, int T>
void product_rows(const Matrix *m, int64_t block, const Activations &a, int64_t row,
                  const Target &to, int64_t column) {
  const uint8_t *at = m->packed + block * block_bytes(m);
  const int64_t first = block * ROWS;
  for (int part = 0; part < ROWS / W; part++) {
    vf sum[T];
    if constexpr (FORM == FORM_Q4 || FORM == FORM_Q8)
      integer_part<FORM, T>(at, groups_of(m), part, a, row, sum);
    else
      float_part<FORM, T>(at, groups_of(m), part, a, row, sum);
    for (int64_t t = 0; t < T; t++)
      for (int i = 0; i < W; i++) {
        const int64_t output = first + part * W + i;
        if (output >= m->outputs) break;
        float *cell = to.out + (row + t) * to.stride + column + part * W + i;
        const float value = sum[t][i] + (m->bias ? m->bias[output] : 0.0f);
        *cell = to.add ? *cell + value : value;
      }
  }
}

template <int FORM>
void product_block(const Matrix *m, int64_t block, const Activations &a, int64_t rows,
                   const Target &to, int64_t column) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) product_rows<FORM, 8>(m, block, a, row, to, column);
  for (; row + 4 <= rows; row += 4) product_rows<FORM, 4>(m, block, a, row, to, column);
  for (; row + 2 <= rows; row += 2) product_rows<FORM, 2>(m, block, a, row, to, column);
  for (; row < rows; row++) product_rows<FORM, 1>(m, block, a, row, to, column);
}

void product_at(const Matrix *m, int64_t block, const Activations &a, int64_t rows,
                const Target &to, int64_t column) {
  switch (m->form) {
    case FORM_Q4: return product_block<FORM_Q4>(m, block, a, rows, to, column);
    case FORM_Q8: return product_block<FORM_Q8>(m, block, a, rows, to, column);
    case FORM_BF16: return product_block<FORM_BF16>(m, block, a, rows, to, column);
    default: return product_block<FORM_F32>(m, block, a, rows, to, column);
  }
}

inline bool integers(const Matrix *m) { return m->form == FORM_Q4 || m->form == FORM_Q8; }

void product(const Matrix *m, const Activations &a, int64_t rows, const Target &to) {
  if (integers(m)) quantise(a, rows);
  for (int64_t block = 0; block < blocks_of(m); block++)
    product_at(m, block, a, rows, to, block * ROWS);
}

inline int64_t padded_inputs(const Matrix *m) { return groups_of(m) * GROUP; }

// Bytes that activations of `rows` rows take, and the arrays in such memory.
inline int64_t activation_bytes(int64_t padded, int64_t rows) {
  return (rows * padded * 5 + rows * (padded / GROUP) * 8 + 63) / 64 * 64;
}
inline Activations activations_in(char *memory, int64_t padded, int64_t rows) {
  Activations a;
  a.padded = padded;
  a.values = (float *)memory;
  a.scale = a.values + rows * padded;
  a.total = (int32_t *)(a.scale + rows * (padded / GROUP));
  a.codes = (int8_t *)(a.total + rows * (padded / GROUP));
  return a;
}
inline void set_values(const Activations &a, const float *x, int64_t inputs, int64_t rows) {
  for (int64_t r = 0; r < rows; r++) {
    memcpy(a.values + r * a.padded, x + r * inputs, sizeof(float) * inputs);
    memset(a.values + r * a.padded + inputs, 0, sizeof(float) * (a.padded - inputs));
  }
}

// [rows, outputs], or with `chosen` [rows, count] for those outputs alone.
void product_call(const ProductArguments *p, char *memory) {
  const Matrix *m = &p->matrix;
  const Activations a = activations_in(memory, padded_inputs(m), p->rows);
  set_values(a, p->x, m->inputs, p->rows);
  if (!p->chosen) {
    product(m, a, p->rows, Target{p->out, m->outputs, false});
    return;
  }
  if (integers(m)) quantise(a, p->rows);
  float *block_out = (float *)(memory + activation_bytes(a.padded, p->rows));
  int64_t held = -1;
  for (int64_t i = 0; i < p->count; i++) {
    const int64_t block = p->chosen[i] / ROWS;
    if (block != held) product_at(m, block, a, p->rows, Target{block_out, ROWS, false}, 0);
    held = block;
    for (int64_t r = 0; r < p->rows; r++)
      p->out[r * p->count + i] = block_out[r * ROWS + p->chosen[i] % ROWS];
  }
}
// Bytes of a packed matrix.
inline int64_t matrix_bytes(const Matrix *m) { return blocks_of(m) * block_bytes(m); }

int64_t product_bytes(const ProductArguments *p) {
  return activation_bytes(padded_inputs(&p->matrix), p->rows) + 4 * ROWS * p->rows;
}

}  // namespace

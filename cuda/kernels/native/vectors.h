// Vectors of W floats through the compilers' vector extensions: one source for every instruction
// set. No -ffast-math: infinities and NaN have to survive.
#pragma once
#include <stdint.h>
#include <string.h>
#if defined(__F16C__)
#if !defined(__clang__)
// GCC 12 warns about its own header.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
typedef uint16_t vh __attribute__((vector_size(2 * W)));
typedef uint8_t vb __attribute__((vector_size(W)));

template <class V, class T> inline V load(const T *from) {
  V v;
  memcpy(&v, from, sizeof v);
  return v;
}
template <class V, class T> inline void store(T *to, V v) { memcpy(to, &v, sizeof v); }

inline vf splat(float x) { return x - vf{}; }
inline vi splat(int32_t x) { return x - vi{}; }
// The ternary operator keeps b where a comparison with NaN is false.
inline vf larger(vf a, vf b) { return a > b ? a : b; }

inline float sum(vf v) {
  float total = 0;
  for (int i = 0; i < W; i++) total += v[i];
  return total;
}

inline float bits_to_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
inline uint32_t float_to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float bf16_to_float(uint16_t x) { return bits_to_float((uint32_t)x << 16); }
inline uint16_t float_to_bf16(float x) {
  uint32_t bits = float_to_bits(x);
  if (x != x) return 0x7fc0;
  return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float f16_to_float(uint16_t x) {
  uint32_t sign = (uint32_t)(x & 0x8000) << 16, rest = x & 0x7fff;
  if (rest >= 0x7c00)  // infinity, NaN
    return bits_to_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  // 2^112 moves the exponent's bias from 15 to 127 and makes subnormal numbers normal.
  float magnitude = bits_to_float(rest << 13) * 5.192296858534828e33f;
  return bits_to_float(sign | float_to_bits(magnitude));
}
inline uint16_t float_to_f16(float x) {
  uint32_t bits = float_to_bits(x), sign = (bits >> 16) & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // rounds beyond 65504
  if (bits < 0x38800000) {  // subnormal: adding 0.5 rounds to multiples of 2^-24
    uint32_t rounded = float_to_bits(bits_to_float(bits) + 0.5f);
    return (uint16_t)(sign | (rounded - float_to_bits(0.5f)));
  }
  uint32_t rounded = bits - 0x38000000 + 0xfff + ((bits >> 13) & 1);
  return (uint16_t)(sign | rounded >> 13);
}

inline vf widen_bf16(vh x) { return (vf)(__builtin_convertvector(x, vu) << 16); }
inline vf widen_f16(vh x) {
#if defined(__AVX512F__)
  return (vf)_mm512_cvtph_ps((__m256i)x);
#elif defined(__F16C__)
  return (vf)_mm256_cvtph_ps((__m128i)x);
#else
  vf y;
  for (int i = 0; i < W; i++) y[i] = f16_to_float(x[i]);
  return y;
#endif
}

// Read element i of an array of any element type.
inline float element(const void *from, int type, int64_t i) {
  if (type == FLOAT32) return ((const float *)from)[i];
  uint16_t x = ((const uint16_t *)from)[i];
  return type == BFLOAT16 ? bf16_to_float(x) : f16_to_float(x);
}
inline void set_element(void *to, int type, int64_t i, float x) {
  if (type == FLOAT32)
    ((float *)to)[i] = x;
  else
    ((uint16_t *)to)[i] = type == BFLOAT16 ? float_to_bf16(x) : float_to_f16(x);
}

// e^x for x <= 0; 0 below -87, NaN stays. Relative error 2e-7 (Cephes' polynomial).
inline vf exponential(vf x) {
  vf y = x * 1.44269504088896341f;
  // Adding 1.5 * 2^23 rounds to an integer in the low bits.
  vf shifted = y + 12582912.0f;
  vf whole = shifted - 12582912.0f;
  vf r = x - whole * 0.693359375f;
  r = r + whole * 2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  vi exponent = ((vi)shifted - 0x4b400000 + 127) << 23;
  vf power = p * (vf)exponent;
  return x < -87.0f ? vf{} : power;
}

template <int... I> struct Lanes {};
template <int N, int... I> struct FirstLanes : FirstLanes<N - 1, N - 1, I...> {};
template <int... I> struct FirstLanes<0, I...> { typedef Lanes<I...> type; };
inline vi lane_numbers() {
  vi lane;
  for (int i = 0; i < W; i++) lane[i] = i;
  return lane;
}

// Lane i of the answer is lane i ^ S of v.
template <int S, int... I> inline vf swapped(vf v, Lanes<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(v, v, (I ^ S)...);
#else
  return __builtin_shuffle(v, vi{(I ^ S)...});
#endif
}

// The sums of W vectors as one vector: lane i holds the sum of v[i].
template <int S> inline vf exchange(vf a, vf b) {
  vi upper = (lane_numbers() & S) != 0;
  vf direct = upper ? b : a, crossed = upper ? a : b;
  return direct + swapped<S>(crossed, typename FirstLanes<W>::type());
}
template <int S> inline void fold(vf *v) {
  if constexpr (S >= 1) {
    for (int i = 0; i < S; i++) v[i] = exchange<S>(v[i], v[i + S]);
    fold<S / 2>(v);
  }
}
inline vf sums(vf *v) {
  fold<W / 2>(v);
  return v[0];
}

}  // namespace

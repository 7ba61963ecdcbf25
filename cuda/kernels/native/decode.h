// One step of decode attention: write, attend, update scores, choose the victim.
// Source: H2O, arXiv 2306.14048, Algorithm 1; semantics: cuda/kernels/reference.py.
#pragma once
#include <math.h>
#include <stdlib.h>

#include "common.h"
#include "vectors.h"

namespace {

// Slots are read in tiles of W rows, in float32 and padded to whole vectors.
template <int TYPE> inline void widen_row(const void *rows, int64_t row, int64_t size, float *to) {
  if (TYPE == FLOAT32) {
    memcpy(to, (const float *)rows + row * size, 4 * size);
    return;
  }
  const uint16_t *from = (const uint16_t *)rows + row * size;
  int64_t d = 0;
  for (; d + W <= size; d += W) {
    vh x = load<vh>(from + d);
    store(to + d, TYPE == BFLOAT16 ? widen_bf16(x) : widen_f16(x));
  }
  for (; d < size; d++) to[d] = element(rows, TYPE, row * size + d);
}

// A tile of `count` rows from `first`; the cache itself where it can serve as one.
inline const float *tile_of(const void *rows, int type, int64_t first, int64_t count,
                            int64_t size, int64_t padded, float *tile) {
  if (type == FLOAT32 && size == padded && count == W) return (const float *)rows + first * size;
  for (int64_t j = 0; j < count; j++) {
    float *to = tile + j * padded;
    if (type == FLOAT32)
      widen_row<FLOAT32>(rows, first + j, size, to);
    else if (type == BFLOAT16)
      widen_row<BFLOAT16>(rows, first + j, size, to);
    else
      widen_row<FLOAT16>(rows, first + j, size, to);
  }
  // Rows beyond the count keep finite numbers of an earlier tile or zeros; nobody reads their sums.
  return tile;
}

// Logits of W slots for one query head. NV: vectors of a head, 0 where only `vectors` knows.
template <int NV>
inline vf logits_of(const float *query, const float *tile, int64_t padded, int vectors) {
  const int n = NV ? NV : vectors;
  vf partial[W];
  for (int j = 0; j < W; j++) {
    const float *k = tile + j * padded;
    vf s = load<vf>(query) * load<vf>(k);
    for (int c = 1; c < n; c++) s += load<vf>(query + c * W) * load<vf>(k + c * W);
    partial[j] = s;
  }
  return sums(partial);
}

// Add weight * value of `count` slots to the outputs of H query heads.
template <int NV, int H>
inline void add_values(const float *weights, int64_t stride, const float *tile, int64_t count,
                       int64_t padded, int vectors, float *out) {
  const int n = NV ? NV : vectors;
  constexpr int BLOCK = NV ? NV : 4;
  for (int c0 = 0; c0 < n; c0 += BLOCK) {
    const int width = NV ? NV : (n - c0 < BLOCK ? n - c0 : BLOCK);
    vf sum[H][BLOCK];
    for (int h = 0; h < H; h++)
      for (int c = 0; c < width; c++) sum[h][c] = load<vf>(out + h * padded + (c0 + c) * W);
    for (int64_t j = 0; j < count; j++) {
      const float *v = tile + j * padded + c0 * W;
      for (int h = 0; h < H; h++) {
        vf w = splat(weights[h * stride + j]);
        for (int c = 0; c < width; c++) sum[h][c] += w * load<vf>(v + c * W);
      }
    }
    for (int h = 0; h < H; h++)
      for (int c = 0; c < width; c++) store(out + h * padded + (c0 + c) * W, sum[h][c]);
  }
}

struct Head {
  const void *keys, *values;
  float *scores;
  const int32_t *positions;
  const uint8_t *pinned;
  int64_t filled, group, size;
  int type;
};

struct Scratch {
  float *query, *out;   // [group, padded]
  float *tile;          // [W, padded]
  float *weights;       // [group, room]
  float *rank;          // [room]
  int64_t padded, room;  // room: slots rounded up to whole vectors
};

template <int NV> void attend(const Head &head, const Scratch &s, int vectors) {
  const int64_t n = head.filled, padded = s.padded;
  for (int64_t j = 0; j < n; j += W) {
    const int64_t count = n - j < W ? n - j : W;
    const float *tile = tile_of(head.keys, head.type, j, count, head.size, padded, s.tile);
    for (int64_t g = 0; g < head.group; g++)
      store(s.weights + g * s.room + j, logits_of<NV>(s.query + g * padded, tile, padded, vectors));
  }
  for (int64_t g = 0; g < head.group; g++) {
    float *w = s.weights + g * s.room;
    for (int64_t j = n; j < s.room; j++) w[j] = -INFINITY;
    vf most = splat(-INFINITY);
    for (int64_t j = 0; j < n; j += W) most = larger(load<vf>(w + j), most);
    float m = -INFINITY;
    for (int i = 0; i < W; i++) m = most[i] > m ? most[i] : m;
    vf total = {};
    for (int64_t j = 0; j < n; j += W) {
      vf p = exponential(load<vf>(w + j) - m);
      store(w + j, p);
      total += p;
    }
    const float scale = 1.0f / sum(total);
    for (int64_t j = 0; j < n; j += W) store(w + j, load<vf>(w + j) * scale);
  }
  memset(s.out, 0, sizeof(float) * head.group * padded);
  for (int64_t j = 0; j < n; j += W) {
    const int64_t count = n - j < W ? n - j : W;
    const float *tile = tile_of(head.values, head.type, j, count, head.size, padded, s.tile);
    const float *w = s.weights + j;
    int64_t g = 0;
    for (; g + 2 <= head.group; g += 2)
      add_values<NV, 2>(w + g * s.room, s.room, tile, count, padded, vectors, s.out + g * padded);
    if (g < head.group)
      add_values<NV, 1>(w + g * s.room, s.room, tile, count, padded, vectors, s.out + g * padded);
  }
}

// Pad the scores' vectors at the end of a row without reading beyond it.
template <class V, class T> inline V load_some(const T *from, int64_t count) {
  if (count >= W) return load<V>(from);
  T part[W] = {};
  memcpy(part, from, sizeof(T) * count);
  return load<V>(part);
}
template <class V, class T> inline void store_some(T *to, int64_t count, V v) {
  memcpy(to, &v, sizeof(T) * (count >= W ? W : count));
}

struct Rule {
  int32_t victim, recent, sinks;
  float decay;
};

// Update the scores; with `choose`, return the slot that goes: least in rank among those that may
// go, the oldest of equals. NaN ranks least. The oldest slot of all when none may go.
int32_t update_scores(const Head &head, const Scratch &s, const Rule &rule, int32_t step,
                      bool choose) {
  const int64_t n = head.filled;
  vf least = splat(INFINITY);
  for (int64_t j = 0; j < n; j += W) {
    const int64_t left = n - j;
    vf newest = load<vf>(s.weights + j);
    for (int64_t g = 1; g < head.group; g++) newest += load<vf>(s.weights + g * s.room + j);
    vf score = load_some<vf>(head.scores + j, left) * rule.decay + newest;
    store_some(head.scores + j, left, score);
    if (!choose) continue;
    vi position = load_some<vi>(head.positions + j, left);
    vi pin = __builtin_convertvector(load_some<vb>(head.pinned + j, left), vi);
    vf rank = score;
    if (rule.victim == VICTIM_AGE) rank = __builtin_convertvector(position, vf);
    if (rule.victim == VICTIM_MEAN)
      rank = score / __builtin_convertvector(step - position + 1, vf);
    if (rule.victim == VICTIM_LAST) rank = newest;
    rank = rank != rank ? splat(-INFINITY) : rank;
    vi stays = (position > step - rule.recent) | (position < rule.sinks) | (pin != 0);
    rank = stays ? splat(INFINITY) : rank;
    store(s.rank + j, rank);
    if (left < W)
      for (int64_t i = left; i < W; i++) rank[i] = INFINITY;
    least = rank < least ? rank : least;
  }
  if (!choose) return (int32_t)n;
  float best = INFINITY;
  for (int i = 0; i < W; i++) best = least[i] < best ? least[i] : best;
  int32_t slot = 0, oldest = INT32_MAX;
  for (int64_t j = 0; j < n; j++)
    if (s.rank[j] == best && head.positions[j] < oldest) {
      oldest = head.positions[j];
      slot = (int32_t)j;
    }
  return slot;
}

inline int64_t whole_vectors(int64_t n) { return (n + W - 1) / W * W; }

// Attend for one query of one sequence and key-value head whose new token is written already.
void decode_head(const DecodeArguments *a, int64_t i, int64_t h, float *memory) {
  const int64_t row = a->rows[i], at = row * a->kv_heads + h, size = a->head_size;
  const int64_t bytes = a->cache_type == FLOAT32 ? 4 : 2;
  Head head = {(const char *)a->keys + at * a->slots * size * bytes,
               (const char *)a->values + at * a->slots * size * bytes,
               a->scores + at * a->slots,
               a->positions + at * a->slots,
               a->pinned + at * a->slots,
               a->filled[row],
               a->group,
               size,
               a->cache_type};
  Scratch s;
  s.padded = whole_vectors(size);
  s.room = whole_vectors(head.filled);
  s.query = memory;
  s.out = s.query + a->group * s.padded;
  s.tile = s.out + a->group * s.padded;
  s.rank = s.tile + W * s.padded;
  s.weights = s.rank + s.room;
  memset(memory, 0, sizeof(float) * (2 * a->group + W) * s.padded);
  const float scale = 1.0f / sqrtf((float)size);
  const int64_t first = (i * a->kv_heads + h) * a->group * size;
  for (int64_t g = 0; g < a->group; g++)
    for (int64_t d = 0; d < size; d++)
      s.query[g * s.padded + d] = scale * element(a->query, a->query_type, first + g * size + d);
  const int vectors = (int)(s.padded / W);
  switch (s.padded) {
    case 64: attend<64 / W>(head, s, vectors); break;
    case 80: attend<80 / W>(head, s, vectors); break;
    case 96: attend<96 / W>(head, s, vectors); break;
    case 128: attend<128 / W>(head, s, vectors); break;
    default: attend<0>(head, s, vectors);
  }
  for (int64_t g = 0; g < a->group; g++)
    for (int64_t d = 0; d < size; d++)
      set_element(a->out, a->query_type, first + g * size + d, s.out[g * s.padded + d]);
  const Rule rule = {a->victim[i], a->recent[i], a->sinks[i], a->decay[i]};
  const bool choose = head.filled >= a->capacity[i] && rule.victim != VICTIM_NONE;
  a->write[at] = update_scores(head, s, rule, a->step[i], choose);
}

// Floats of scratch that `decode_head` needs for the fullest sequence of a call.
int64_t decode_scratch(const DecodeArguments *a) {
  int64_t filled = 0;
  for (int64_t i = 0; i < a->live; i++)
    filled = a->filled[a->rows[i]] > filled ? a->filled[a->rows[i]] : filled;
  return (2 * a->group + W) * whole_vectors(a->head_size) +
         (a->group + 1) * whole_vectors(filled);
}

}  // namespace

// Attention of a chunk of the prompt, with column sums, for one key-value head at a time.
#pragma once
#include <math.h>

#include "common.h"
#include "decode.h"
#include "vectors.h"

namespace {

// Rows of queries whose logits are in memory at once, and columns that a pass over them keeps in
// cache. ROW_STEP rows by two vectors of columns are summed in registers.
constexpr int64_t ROW_GROUP = 24, COLUMN_BLOCK = 256;
constexpr int ROW_STEP = W == 16 ? 6 : 4;

struct ChunkMemory {
  float *keys;    // [D, stride]: transposed
  float *values;  // [columns, padded]
  float *query;   // [ROW_GROUP, D]
  float *logits;  // [ROW_GROUP, stride]
  float *out;     // [ROW_GROUP, padded]
  float *tile;    // [W, D]
  int64_t stride, padded;
};

inline int64_t chunk_stride(const ChunkArguments *c) {
  return (c->columns + 2 * W - 1) / (2 * W) * (2 * W);
}
int64_t chunk_floats(const ChunkArguments *c) {
  const int64_t stride = chunk_stride(c), size = c->head_size, padded = whole_vectors(size);
  return stride * size + c->columns * padded + ROW_GROUP * (size + stride + padded) + W * padded;
}
ChunkMemory chunk_memory(const ChunkArguments *c, float *memory) {
  ChunkMemory m;
  m.stride = chunk_stride(c);
  m.padded = whole_vectors(c->head_size);
  m.keys = memory;
  m.values = m.keys + m.stride * c->head_size;
  m.logits = m.values + c->columns * m.padded;
  m.out = m.logits + ROW_GROUP * m.stride;
  m.query = m.out + ROW_GROUP * m.padded;
  m.tile = m.query + ROW_GROUP * c->head_size;
  return m;
}

inline void widen(const void *rows, int type, int64_t row, int64_t size, float *to) {
  if (type == FLOAT32) return widen_row<FLOAT32>(rows, row, size, to);
  if (type == BFLOAT16) return widen_row<BFLOAT16>(rows, row, size, to);
  widen_row<FLOAT16>(rows, row, size, to);
}

void unpack(const ChunkArguments *c, int64_t head, const ChunkMemory &m) {
  const int64_t n = c->columns, size = c->head_size, bytes = c->cache_type == FLOAT32 ? 4 : 2;
  const char *keys = (const char *)c->keys + head * n * size * bytes;
  const char *values = (const char *)c->values + head * n * size * bytes;
  for (int64_t j0 = 0; j0 < m.stride; j0 += W) {
    for (int64_t j = j0; j < j0 + W; j++) {
      float *row = m.tile + (j - j0) * size;
      if (j < n)
        widen(keys, c->cache_type, j, size, row);
      else
        memset(row, 0, sizeof(float) * size);
    }
    for (int64_t d = 0; d < size; d++) {
      float *to = m.keys + d * m.stride + j0;
      for (int i = 0; i < W; i++) to[i] = m.tile[i * size + d];
    }
  }
  for (int64_t j = 0; j < n; j++) {
    float *row = m.values + j * m.padded;
    for (int64_t d = size; d < m.padded; d++) row[d] = 0;
    widen(values, c->cache_type, j, size, row);
  }
}

// Logits of R rows for the columns [first, last), both multiples of two vectors.
template <int R>
void chunk_logits(const ChunkMemory &m, int64_t size, int64_t row, int64_t first, int64_t last) {
  const float *query = m.query + row * size;
  for (int64_t j = first; j < last; j += 2 * W) {
    vf sum[R][2];
    for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = vf{};
    const float *k = m.keys + j;
    for (int64_t d = 0; d < size; d++, k += m.stride) {
      const vf a = load<vf>(k), b = load<vf>(k + W);
      for (int r = 0; r < R; r++) {
        const vf q = splat(query[r * size + d]);
        sum[r][0] += q * a;
        sum[r][1] += q * b;
      }
    }
    for (int r = 0; r < R; r++) {
      store(m.logits + (row + r) * m.stride + j, sum[r][0]);
      store(m.logits + (row + r) * m.stride + j + W, sum[r][1]);
    }
  }
}

// Add weights * values of the columns [first, last) to B vectors of R rows' outputs.
template <int R, int B>
void chunk_values(const ChunkMemory &m, int64_t row, int64_t first, int64_t last, int64_t at) {
  vf sum[R][B];
  float *out = m.out + row * m.padded + at;
  for (int r = 0; r < R; r++)
    for (int b = 0; b < B; b++) sum[r][b] = load<vf>(out + r * m.padded + b * W);
  const float *weights = m.logits + row * m.stride;
  for (int64_t j = first; j < last; j++) {
    vf v[B];
    for (int b = 0; b < B; b++) v[b] = load<vf>(m.values + j * m.padded + at + b * W);
    for (int r = 0; r < R; r++) {
      const vf w = splat(weights[r * m.stride + j]);
      for (int b = 0; b < B; b++) sum[r][b] += w * v[b];
    }
  }
  for (int r = 0; r < R; r++)
    for (int b = 0; b < B; b++) store(out + r * m.padded + b * W, sum[r][b]);
}
template <int R> void chunk_outputs(const ChunkMemory &m, int64_t row, int64_t first, int64_t last) {
  int64_t at = 0;
  for (; at + 4 * W <= m.padded; at += 4 * W) chunk_values<R, 4>(m, row, first, last, at);
  for (; at + 2 * W <= m.padded; at += 2 * W) chunk_values<R, 2>(m, row, first, last, at);
  for (; at < m.padded; at += W) chunk_values<R, 1>(m, row, first, last, at);
}

// Turn one row's logits into unscaled weights over `seen` columns and add its share to the sums.
// Returns the sum of the weights. Columns up to `end` become 0.
float chunk_softmax(float *row, int64_t seen, int64_t end, float counts, float *sums) {
  for (int64_t j = seen; j < end; j++) row[j] = -INFINITY;
  const int64_t whole = whole_vectors(seen);
  vf most = splat(-INFINITY);
  for (int64_t j = 0; j < whole; j += W) most = larger(load<vf>(row + j), most);
  float m = -INFINITY;
  for (int i = 0; i < W; i++) m = most[i] > m ? most[i] : m;
  vf total = {};
  for (int64_t j = 0; j < whole; j += W) {
    const vf p = exponential(load<vf>(row + j) - m);
    store(row + j, p);
    total += p;
  }
  for (int64_t j = whole; j < end; j++) row[j] = 0;
  const float all = sum(total);
  if (counts != 0)
    for (int64_t j = 0; j < whole; j += W)
      store(sums + j, load<vf>(sums + j) + load<vf>(row + j) * (counts / all));
  return all;
}

// One group of `rows` queries from t0 on; sums [stride].
void chunk_group(const ChunkArguments *c, int64_t head, int64_t g, int64_t t0, int64_t rows,
                 const ChunkMemory &m, const int64_t *hidden, int64_t hidden_count, float *sums) {
  const int64_t size = c->head_size, first = ((head * c->group + g) * c->chunk + t0) * size;
  const float scale = 1.0f / sqrtf((float)size);
  for (int64_t i = 0; i < rows * size; i++)
    m.query[i] = scale * element(c->query, c->query_type, first + i);
  const int64_t last = c->before + t0 + rows;  // columns that the last row sees
  const int64_t end = (last + 2 * W - 1) / (2 * W) * (2 * W);
  for (int64_t j = 0; j < end; j += COLUMN_BLOCK) {
    const int64_t stop = j + COLUMN_BLOCK < end ? j + COLUMN_BLOCK : end;
    int64_t r = 0;
    for (; r + ROW_STEP <= rows; r += ROW_STEP) chunk_logits<ROW_STEP>(m, size, r, j, stop);
    for (; r < rows; r++) chunk_logits<1>(m, size, r, j, stop);
  }
  float totals[ROW_GROUP];
  for (int64_t r = 0; r < rows; r++) {
    float *row = m.logits + r * m.stride;
    const int64_t seen = c->before + t0 + r + 1;
    for (int64_t i = 0; i < hidden_count; i++)
      if (hidden[i] < seen) row[hidden[i]] = -INFINITY;
    totals[r] = chunk_softmax(row, seen, end, c->weights ? c->weights[t0 + r] : 1.0f, sums);
  }
  memset(m.out, 0, sizeof(float) * rows * m.padded);
  for (int64_t j = 0; j < last; j += COLUMN_BLOCK) {
    const int64_t stop = j + COLUMN_BLOCK < last ? j + COLUMN_BLOCK : last;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) chunk_outputs<4>(m, r, j, stop);
    for (; r < rows; r++) chunk_outputs<1>(m, r, j, stop);
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t d = 0; d < size; d++)
      set_element(c->out, c->query_type, first + r * size + d, m.out[r * m.padded + d] / totals[r]);
}

// All queries of one key-value head. `memory` holds `chunk_bytes`.
void chunk_head(const ChunkArguments *c, int64_t head, char *memory) {
  const ChunkMemory m = chunk_memory(c, (float *)memory);
  float *sums = (float *)memory + chunk_floats(c);
  int64_t *hidden = (int64_t *)(sums + m.stride + m.stride % 2);
  int64_t hidden_count = 0;
  for (int64_t j = 0; c->hidden && j < c->columns; j++)
    if (c->hidden[head * c->columns + j]) hidden[hidden_count++] = j;
  memset(sums, 0, sizeof(float) * m.stride);
  unpack(c, head, m);
  for (int64_t g = 0; g < c->group; g++)
    for (int64_t t0 = 0; t0 < c->chunk; t0 += ROW_GROUP) {
      const int64_t rows = c->chunk - t0 < ROW_GROUP ? c->chunk - t0 : ROW_GROUP;
      chunk_group(c, head, g, t0, rows, m, hidden, hidden_count, sums);
    }
  memcpy(c->sums + head * c->columns, sums, sizeof(float) * c->columns);
}
int64_t chunk_bytes(const ChunkArguments *c) {
  const int64_t stride = chunk_stride(c);
  return 4 * (chunk_floats(c) + stride + 2) + 8 * c->columns;
}

}  // namespace

// Types that the tiers, the dispatcher and Python (ctypes) share. Plain C layout.
#pragma once
#include <stdint.h>

// Codes of element types; `ELEMENT_TYPES` of library.py has the same order.
enum ElementType { FLOAT32 = 0, BFLOAT16 = 1, FLOAT16 = 2 };

// Codes of `cuda.kernels.slots.Victim`.
enum Victim { VICTIM_NONE, VICTIM_AGE, VICTIM_SUM, VICTIM_MEAN, VICTIM_DECAY, VICTIM_LAST };

// Status of a call. A positive status is 1 + the index of the sequence that has no free slot.
// STATUS_OUTSIDE: a row, slot or capacity lies outside the cache; nothing was changed.
enum Status { STATUS_OK = 0, STATUS_NO_MEMORY = -1, STATUS_OUTSIDE = -2 };

// One step of decode attention, see `cuda.kernels.reference.h2o_decode`. All arrays contiguous.
struct DecodeArguments {
  const void *query;  // [live, kv_heads, group, head_size]
  const void *key;    // [live, kv_heads, head_size]
  const void *value;  // [live, kv_heads, head_size]
  void *out;          // [live, kv_heads, group, head_size], in the query's type
  void *keys;         // [sequences, kv_heads, slots, head_size]
  void *values;
  float *scores;       // [sequences, kv_heads, slots]
  int32_t *positions;  // [sequences, kv_heads, slots]
  uint8_t *pinned;     // [sequences, kv_heads, slots]
  int32_t *filled;     // [sequences]
  int32_t *write;      // [sequences, kv_heads]
  const int64_t *rows;  // [live]
  const int32_t *step;  // [live]
  const int32_t *victim;
  const int32_t *capacity;
  const int32_t *recent;
  const int32_t *sinks;
  const float *decay;
  int64_t sequences, live, kv_heads, group, slots, head_size;
  int64_t thread_work;  // elements of keys in use up to which one thread does all
  int32_t query_type, new_type, cache_type, threads;
};

// Forms of packed weights; `Form` of packed.py has the same order.
//   Q4: w = d q + m with q in 0..15; d and m float16 per group of 32 inputs
//   Q8: w = d q with q in -127..127; d float16 per group of 32 inputs
enum Form { FORM_Q4 = 0, FORM_Q8 = 1, FORM_BF16 = 2, FORM_F32 = 3 };

struct Matrix {
  const uint8_t *packed;
  const float *bias;  // [outputs] or null
  int64_t outputs, inputs;
  int64_t form;
};

// out = x weights^T + bias; x [rows, inputs], out [rows, outputs], or [rows, count] with `chosen`.
struct ProductArguments {
  Matrix matrix;
  const float *x;
  float *out;
  const int64_t *chosen;  // [count] outputs, or null
  int64_t rows, count;
};

struct StepLayer {
  const float *attention_norm, *feed_forward_norm;
  Matrix qkv, attention_out, gate_up, down;
  DecodeArguments attention;  // cache and sizes; the rest is filled in by the step
};

// One token for each of `live` sequences through all layers; `hidden` is changed in place and
// holds the normed output at the end.
struct StepArguments {
  StepLayer *layers;
  const float *norm;
  float *hidden;               // [live, width]
  const float *cosine, *sine;  // [live, head_size / 2]
  const int64_t *rows;         // [live]
  const int32_t *step, *victim, *capacity, *recent, *sinks;
  const float *decay;
  int64_t thread_work, layer_count, live, width, heads, kv_heads, head_size, feed_forward;
  float epsilon;
  int32_t threads;
};

// Attention of a chunk, see `cuda.kernels.reference.chunk_attn`. All arrays contiguous.
struct ChunkArguments {
  const void *query;      // [kv_heads, group, chunk, head_size]
  const void *keys;       // [kv_heads, columns, head_size]
  const void *values;
  const uint8_t *hidden;  // [kv_heads, columns] or null
  const float *weights;   // [chunk] or null
  void *out;              // like query
  float *sums;            // [kv_heads, columns]
  int64_t kv_heads, group, chunk, columns, before, head_size;
  int32_t query_type, cache_type, threads;
};

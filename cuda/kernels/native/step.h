// One decode step of all layers of a llama-like decoder: norms, projections, rotary embedding,
// attention over slots with eviction, and the gated feed-forward, in one call.
#pragma once
#include <math.h>

#include "decode.h"
#include "matrix.h"

namespace {

void rms_norm(const float *x, const float *weight, float epsilon, int64_t width, float *out) {
  vf squares = {};
  int64_t i = 0;
  for (; i + W <= width; i += W) squares += load<vf>(x + i) * load<vf>(x + i);
  float total = sum(squares);
  for (; i < width; i++) total += x[i] * x[i];
  const float scale = 1.0f / sqrtf(total / (float)width + epsilon);
  for (i = 0; i < width; i++) out[i] = x[i] * scale * weight[i];
}

// Rotate the halves of one head: (a, b) -> (a cos - b sin, b cos + a sin).
void rotate(float *head, const float *cosine, const float *sine, int64_t half) {
  for (int64_t i = 0; i < half; i++) {
    const float a = head[i], b = head[half + i];
    head[i] = a * cosine[i] - b * sine[i];
    head[half + i] = b * cosine[i] + a * sine[i];
  }
}

// x e^x / (1 + e^x) without overflow, times up.
void gated(const float *gate, const float *up, int64_t count, float *out) {
  int64_t i = 0;
  for (; i < count; i += W) {
    const int64_t left = count - i;
    const vf g = load_some<vf>(gate + i, left), u = load_some<vf>(up + i, left);
    const vf e = exponential(g > 0.0f ? -g : g);
    const vf share = (g > 0.0f ? splat(1.0f) : e) / (1.0f + e);
    store_some(out + i, left, g * share * u);
  }
}

struct StepMemory {
  Activations wide, narrow;  // inputs of the feed-forward's second product, and of the others
  float *mixed;              // [rows, (heads + 2 kv_heads) head_size]
  float *gate_up;            // [rows, 2 feed_forward]
  float *query, *key, *value, *out;
};

int64_t step_floats(const StepArguments *s) {
  const int64_t width = (s->heads + 2 * s->kv_heads) * s->head_size;
  return s->live * (2 * width + 2 * s->feed_forward + s->heads * s->head_size);
}
inline int64_t padded(int64_t inputs) { return (inputs + GROUP - 1) / GROUP * GROUP; }
inline int64_t narrow_inputs(const StepArguments *s) {
  const int64_t heads = s->heads * s->head_size;
  return padded(heads > s->width ? heads : s->width);
}
int64_t step_bytes(const StepArguments *s) {
  return activation_bytes(narrow_inputs(s), s->live) +
         activation_bytes(padded(s->feed_forward), s->live) + 4 * step_floats(s);
}

StepMemory step_memory(const StepArguments *s, char *memory) {
  StepMemory m;
  m.narrow = activations_in(memory, narrow_inputs(s), s->live);
  memory += activation_bytes(narrow_inputs(s), s->live);
  m.wide = activations_in(memory, padded(s->feed_forward), s->live);
  memory += activation_bytes(padded(s->feed_forward), s->live);
  m.mixed = (float *)memory;
  m.gate_up = m.mixed + s->live * (s->heads + 2 * s->kv_heads) * s->head_size;
  m.query = m.gate_up + s->live * 2 * s->feed_forward;
  m.key = m.query + s->live * s->heads * s->head_size;
  m.value = m.key + s->live * s->kv_heads * s->head_size;
  m.out = m.value + s->live * s->kv_heads * s->head_size;
  return m;
}

// Norm every row into activations of a product.
void normed_inputs(const StepArguments *s, const float *weight, Activations *a) {
  a->padded = padded(s->width);
  for (int64_t r = 0; r < s->live; r++) {
    float *to = a->values + r * a->padded;
    rms_norm(s->hidden + r * s->width, weight, s->epsilon, s->width, to);
    memset(to + s->width, 0, sizeof(float) * (a->padded - s->width));
  }
}

// Split [live, heads + 2 kv_heads, D] into rotated queries, rotated keys, and values.
void split_heads(const StepArguments *s, const StepMemory &m) {
  const int64_t size = s->head_size, half = size / 2, all = s->heads + 2 * s->kv_heads;
  for (int64_t r = 0; r < s->live; r++) {
    float *row = m.mixed + r * all * size;
    for (int64_t h = 0; h < s->heads + s->kv_heads; h++)
      rotate(row + h * size, s->cosine + r * half, s->sine + r * half, half);
    const int64_t q = s->heads * size, k = s->kv_heads * size;
    memcpy(m.query + r * q, row, 4 * q);
    memcpy(m.key + r * k, row + q, 4 * k);
    memcpy(m.value + r * k, row + q + k, 4 * k);
  }
}

// The layers' first half up to attention, and what follows attention.
void step_before(const StepArguments *s, int64_t layer, const StepMemory &m) {
  const StepLayer *at = s->layers + layer;
  Activations a = m.narrow;
  normed_inputs(s, at->attention_norm, &a);
  product(&at->qkv, a, s->live, Target{m.mixed, at->qkv.outputs, false});
  split_heads(s, m);
}

void step_after(const StepArguments *s, int64_t layer, const StepMemory &m) {
  const StepLayer *at = s->layers + layer;
  Activations a = m.narrow;
  a.padded = padded(s->heads * s->head_size);
  set_values(a, m.out, s->heads * s->head_size, s->live);
  product(&at->attention_out, a, s->live, Target{s->hidden, s->width, true});
  normed_inputs(s, at->feed_forward_norm, &a);
  product(&at->gate_up, a, s->live, Target{m.gate_up, 2 * s->feed_forward, false});
  for (int64_t r = 0; r < s->live; r++) {
    const float *gate = m.gate_up + r * 2 * s->feed_forward;
    float *to = m.wide.values + r * m.wide.padded;
    gated(gate, gate + s->feed_forward, s->feed_forward, to);
    memset(to + s->feed_forward, 0, sizeof(float) * (m.wide.padded - s->feed_forward));
  }
  product(&at->down, m.wide, s->live, Target{s->hidden, s->width, true});
}

void step_norm(const StepArguments *s) {
  for (int64_t r = 0; r < s->live; r++)
    rms_norm(s->hidden + r * s->width, s->norm, s->epsilon, s->width,
             s->hidden + r * s->width);
}

}  // namespace

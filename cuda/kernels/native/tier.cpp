// Compiled once per instruction set, with TIER as its name: see build.py.
#include "chunk.h"
#include "decode.h"
#include "matrix.h"
#include "step.h"

#define JOINED(name, tier) name##_##tier
#define NAMED(name, tier) JOINED(name, tier)

extern "C" {

int64_t NAMED(decode_scratch, TIER)(const DecodeArguments *a) { return decode_scratch(a); }

void NAMED(decode_head, TIER)(const DecodeArguments *a, int64_t i, int64_t h, float *memory) {
  decode_head(a, i, h, memory);
}

int64_t NAMED(product_bytes, TIER)(const ProductArguments *p) { return product_bytes(p); }

void NAMED(product_call, TIER)(const ProductArguments *p, char *memory) {
  product_call(p, memory);
}

int64_t NAMED(step_bytes, TIER)(const StepArguments *s) { return step_bytes(s); }

// Phase 0: up to attention, whose inputs and outputs the caller learns; 1: after it; 2: final norm.
void NAMED(step_phase, TIER)(const StepArguments *s, int64_t layer, int phase, char *memory) {
  const StepMemory m = step_memory(s, memory);
  if (phase == 2) return step_norm(s);
  if (phase == 1) return step_after(s, layer, m);
  step_before(s, layer, m);
  DecodeArguments *a = &s->layers[layer].attention;
  a->query = m.query;
  a->key = m.key;
  a->value = m.value;
  a->out = m.out;
}

int64_t NAMED(chunk_bytes, TIER)(const ChunkArguments *c) { return chunk_bytes(c); }

void NAMED(chunk_head, TIER)(const ChunkArguments *c, int64_t head, char *memory) {
  chunk_head(c, head, memory);
}
}

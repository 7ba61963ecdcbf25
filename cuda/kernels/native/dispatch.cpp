// C ABI of the library: choose the instruction set at run time and share work among threads.
#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdlib.h>

#include "common.h"
#include "matrix.h"
#include "packing.h"
#include "vectors.h"

#define EXPORT __attribute__((visibility("default")))
#define DECLARE(tier)                                                                      \
  extern "C" int64_t decode_scratch_##tier(const DecodeArguments *);                       \
  extern "C" void decode_head_##tier(const DecodeArguments *, int64_t, int64_t, float *);  \
  extern "C" int64_t product_bytes_##tier(const ProductArguments *);                       \
  extern "C" void product_call_##tier(const ProductArguments *, char *);                   \
  extern "C" int64_t step_bytes_##tier(const StepArguments *);                             \
  extern "C" void step_phase_##tier(const StepArguments *, int64_t, int, char *);          \
  extern "C" int64_t chunk_bytes_##tier(const ChunkArguments *);                           \
  extern "C" void chunk_head_##tier(const ChunkArguments *, int64_t, char *);
#define ENTRY(tier)                                                                        \
  {#tier,                decode_scratch_##tier, decode_head_##tier, product_bytes_##tier,  \
   product_call_##tier,  step_bytes_##tier,     step_phase_##tier,  chunk_bytes_##tier,    \
   chunk_head_##tier}

DECLARE(generic)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

namespace {

struct Tier {
  const char *name;
  int64_t (*decode_scratch)(const DecodeArguments *);
  void (*decode_head)(const DecodeArguments *, int64_t, int64_t, float *);
  int64_t (*product_bytes)(const ProductArguments *);
  void (*product_call)(const ProductArguments *, char *);
  int64_t (*step_bytes)(const StepArguments *);
  void (*step_phase)(const StepArguments *, int64_t, int, char *);
  int64_t (*chunk_bytes)(const ChunkArguments *);
  void (*chunk_head)(const ChunkArguments *, int64_t, char *);
};

// Worst first.
const Tier TIERS[] = {
    ENTRY(generic),
#if defined(__x86_64__)
    ENTRY(avx2),
    ENTRY(avx512),
#endif
};
const int TIER_COUNT = sizeof TIERS / sizeof *TIERS;

#if defined(__x86_64__)
// Bits of CPUID and of the state that the system saves. Compilers' own __builtin_cpu_supports
// needs a run-time library that some of them leave out.
bool all_set(unsigned value, unsigned bits) { return (value & bits) == bits; }

bool has_avx512(unsigned saved, unsigned leaf_b, unsigned leaf_c) {
  const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  return all_set(saved, 0xe6) && all_set(leaf_b, f | dq | bw | vl) && all_set(leaf_c, vnni);
}

int best_x86() {
  unsigned a, b, c, d, saved, upper;
  const unsigned fma = 1u << 12, saves = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, fma | saves | avx | f16c)) return 0;
  __asm__("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  if (!all_set(saved, 6) || !all_set(b, 1u << 5)) return 0;
  return has_avx512(saved, b, c) ? 2 : 1;
}
#endif

bool usable(int tier) {
#if defined(__x86_64__)
  return tier <= best_x86();
#else
  return tier == 0;
#endif
}

int best_tier() {
  int best = 0;
  for (int tier = 1; tier < TIER_COUNT; tier++)
    if (usable(tier)) best = tier;
  return best;
}

int chosen = best_tier();

void write_head(const DecodeArguments *a, int64_t i, int64_t h) {
  const int64_t at = a->rows[i] * a->kv_heads + h;
  const int64_t slot = at * a->slots + a->write[at];
  const int64_t from = (i * a->kv_heads + h) * a->head_size, size = a->head_size;
  for (int64_t d = 0; d < size; d++) {
    set_element(a->keys, a->cache_type, slot * size + d, element(a->key, a->new_type, from + d));
    set_element(a->values, a->cache_type, slot * size + d,
                element(a->value, a->new_type, from + d));
  }
  a->scores[slot] = 0;
  a->positions[slot] = a->step[i];
  a->pinned[slot] = 0;
}

int check(const DecodeArguments *a) {
  for (int64_t i = 0; i < a->live; i++) {
    const int64_t row = a->rows[i];
    if (row < 0 || row >= a->sequences || a->capacity[i] > a->slots) return STATUS_OUTSIDE;
    if (a->filled[row] < 0 || a->filled[row] > a->slots) return STATUS_OUTSIDE;
    for (int64_t h = 0; h < a->kv_heads; h++) {
      const int32_t slot = a->write[row * a->kv_heads + h];
      if (slot < 0) return STATUS_OUTSIDE;
      if (slot >= a->capacity[i]) return (int)(i + 1);
    }
  }
  return STATUS_OK;
}

// Part of the items of a call: those from `first` on, `stride` apart.
struct Share {
  const void *arguments;
  const Tier *tier;
  char *memory;
  int64_t first, stride;
};

void *decode_share(void *given) {
  const Share *share = (const Share *)given;
  const DecodeArguments *a = (const DecodeArguments *)share->arguments;
  for (int64_t item = share->first; item < a->live * a->kv_heads; item += share->stride) {
    write_head(a, item / a->kv_heads, item % a->kv_heads);
    share->tier->decode_head(a, item / a->kv_heads, item % a->kv_heads, (float *)share->memory);
  }
  return nullptr;
}

void *chunk_share(void *given) {
  const Share *share = (const Share *)given;
  const ChunkArguments *c = (const ChunkArguments *)share->arguments;
  for (int64_t head = share->first; head < c->kv_heads; head += share->stride)
    share->tier->chunk_head(c, head, share->memory);
  return nullptr;
}

const int MAX_THREADS = 64;

// Do `items` of work on up to `wanted` threads, each with its own memory of some bytes.
int shared_work(void *(*work)(void *), const void *arguments, int64_t items, int64_t wanted,
                int64_t bytes) {
  int64_t threads = wanted < 1 ? 1 : wanted > MAX_THREADS ? MAX_THREADS : wanted;
  if (threads > items) threads = items;
  if (items == 0) return STATUS_OK;
  bytes = (bytes + 63) / 64 * 64;
  char *memory = nullptr;
  if (posix_memalign((void **)&memory, 64, bytes * threads)) return STATUS_NO_MEMORY;
  Share shares[MAX_THREADS];
  pthread_t others[MAX_THREADS];
  bool started[MAX_THREADS];
  for (int64_t t = 0; t < threads; t++)
    shares[t] = Share{arguments, &TIERS[chosen], memory + t * bytes, t, threads};
  for (int64_t t = 1; t < threads; t++)
    started[t] = pthread_create(&others[t], nullptr, work, &shares[t]) == 0;
  work(&shares[0]);
  for (int64_t t = 1; t < threads; t++) {
    if (started[t])
      pthread_join(others[t], nullptr);
    else
      work(&shares[t]);
  }
  free(memory);
  return STATUS_OK;
}

}  // namespace

extern "C" {

EXPORT const char *trimtab_tier(void) { return TIERS[chosen].name; }

// Choose a tier by its number, 0 the plainest. Returns -1 where this CPU lacks it.
EXPORT int trimtab_choose_tier(int tier) {
  if (tier < 0 || tier >= TIER_COUNT || !usable(tier)) return -1;
  chosen = tier;
  return 0;
}

EXPORT int trimtab_h2o_decode(const DecodeArguments *a) {
  if (int status = check(a)) return status;
  int64_t in_use = 0;
  for (int64_t i = 0; i < a->live; i++) {
    int32_t *filled = a->filled + a->rows[i];
    for (int64_t h = 0; h < a->kv_heads; h++) {
      int32_t slot = a->write[a->rows[i] * a->kv_heads + h];
      if (slot + 1 > *filled) *filled = slot + 1;
    }
    in_use += *filled;
  }
  const bool busy = in_use * a->kv_heads * a->head_size > a->thread_work;
  return shared_work(decode_share, a, a->live * a->kv_heads, busy ? a->threads : 1,
                     4 * TIERS[chosen].decode_scratch(a));
}

EXPORT int trimtab_chunk(const ChunkArguments *c) {
  return shared_work(chunk_share, c, c->kv_heads, c->threads, TIERS[chosen].chunk_bytes(c));
}

// Bytes that `trimtab_pack` writes.
EXPORT int64_t trimtab_packed_bytes(const Matrix *m) { return matrix_bytes(m); }

// Pack float32 weights into zeroed memory; returns the largest relative error, see packing.h.
EXPORT float trimtab_pack(const Matrix *m, const float *weights, float limit, uint8_t *packed) {
  return pack(weights, m->outputs, m->inputs, m->form, block_bytes(m), code_bytes((int)m->form),
              scale_bytes((int)m->form), limit, packed);
}

EXPORT int trimtab_product(const ProductArguments *p) {
  const Tier *tier = &TIERS[chosen];
  for (int64_t i = 0; p->chosen && i < p->count; i++)
    if (p->chosen[i] < 0 || p->chosen[i] >= p->matrix.outputs) return STATUS_OUTSIDE;
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, tier->product_bytes(p))) return STATUS_NO_MEMORY;
  tier->product_call(p, (char *)memory);
  free(memory);
  return STATUS_OK;
}

// A step in parts, for a chunk of `live` tokens of one sequence whose attention the caller does
// between the phases 0 and 1 of each layer; `memory` holds `trimtab_step_bytes`.
EXPORT int64_t trimtab_step_bytes(const StepArguments *s) { return TIERS[chosen].step_bytes(s); }
EXPORT void trimtab_step_phase(const StepArguments *s, int64_t layer, int phase, char *memory) {
  TIERS[chosen].step_phase(s, layer, phase, memory);
}

EXPORT int trimtab_step(const StepArguments *s) {
  if (s->live == 0) return STATUS_OK;
  for (int64_t layer = 0; layer < s->layer_count; layer++) {
    DecodeArguments *a = &s->layers[layer].attention;
    a->rows = s->rows;
    a->step = s->step;
    a->victim = s->victim;
    a->capacity = s->capacity;
    a->recent = s->recent;
    a->sinks = s->sinks;
    a->decay = s->decay;
    a->live = s->live;
    a->threads = s->threads;
    a->thread_work = s->thread_work;
    if (int status = check(a)) return status;
  }
  const Tier *tier = &TIERS[chosen];
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, tier->step_bytes(s))) return STATUS_NO_MEMORY;
  int status = STATUS_OK;
  for (int64_t layer = 0; layer < s->layer_count && status == STATUS_OK; layer++) {
    tier->step_phase(s, layer, 0, (char *)memory);
    status = trimtab_h2o_decode(&s->layers[layer].attention);
    if (status == STATUS_OK) tier->step_phase(s, layer, 1, (char *)memory);
  }
  if (status == STATUS_OK) tier->step_phase(s, 0, 2, (char *)memory);
  free(memory);
  return status;
}
}

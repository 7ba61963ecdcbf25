// Compiled once per instruction set, with TIER as its name: see build.py.
#include "decode.h"

#define JOINED(name, tier) name##_##tier
#define NAMED(name, tier) JOINED(name, tier)

extern "C" {

int64_t NAMED(decode_scratch, TIER)(const DecodeArguments *a) { return decode_scratch(a); }

void NAMED(decode_head, TIER)(const DecodeArguments *a, int64_t i, int64_t h, float *memory) {
  decode_head(a, i, h, memory);
}
}

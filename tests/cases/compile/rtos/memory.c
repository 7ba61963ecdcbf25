#include "kernel.h"
static unsigned char heap[1024];
static unsigned used;
void *allocate(unsigned bytes) {
  bytes = (bytes + 7) & ~7u;
  if (used + bytes > sizeof heap) return 0;
  used += bytes;
  return heap + used - bytes;
}
unsigned heap_left(void) { return sizeof heap - used; }
void *memset(void *to, int value, unsigned long bytes) {
  for (unsigned char *p = to; bytes--;) *p++ = (unsigned char)value;
  return to;
}
void *memcpy(void *to, const void *from, unsigned long bytes) {
  unsigned char *p = to;
  for (const unsigned char *q = from; bytes--;) *p++ = *q++;
  return to;
}

#include "device.h"
int text_equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}
void *memcpy(void *to, const void *from, unsigned long bytes) {
  unsigned char *p = to;
  for (const unsigned char *q = from; bytes--;) *p++ = *q++;
  return to;
}
void *memset(void *to, int value, unsigned long bytes) {
  for (unsigned char *p = to; bytes--;) *p++ = (unsigned char)value;
  return to;
}

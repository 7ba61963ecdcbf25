#include "kernel.h"
static int semihost(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
void print(const char *text) { semihost(4, text); }
void print_number(unsigned value) {
  char digits[11], *at = digits + 10;
  *at = 0;
  do *--at = (char)('0' + value % 10); while (value /= 10);
  print(at);
}
void stop(int code) {
  semihost(0x18, code ? (const void *)0x20023 : (const void *)0x20026);
  for (;;) {}
}

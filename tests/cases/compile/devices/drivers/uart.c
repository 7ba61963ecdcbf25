#include "device.h"
static int semihost(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
static void put(const struct device *d, char c) {
  (void)d;
  semihost(3, &c);
}
static int init(const struct device *d) { return d->api == 0; }
static const struct uart_api api = {put};
DEVICE(uart, init, &api, 0);
void stop(int code) {
  semihost(0x18, code ? (const void *)0x20023 : (const void *)0x20026);
  for (;;) {}
}

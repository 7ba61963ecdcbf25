#include "device.h"
void log_text(const char *text) {
  const struct device *uart = device_get("uart");
  const struct uart_api *api = uart->api;
  while (*text) api->put(uart, *text++);
}
void log_number(unsigned value) {
  char digits[11], *at = digits + 10;
  *at = 0;
  do *--at = (char)('0' + value % 10); while (value /= 10);
  log_text(at);
}
void log_hex(unsigned value) {
  for (int shift = 28; shift >= 0; shift -= 4) {
    char digit[2] = {"0123456789abcdef"[value >> shift & 15], 0};
    log_text(digit);
  }
}

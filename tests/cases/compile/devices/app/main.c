#include "device.h"
int main(void) {
  const struct device *counter = device_get("counter"), *gpio = device_get("gpio");
  const struct counter_api *time = counter->api;
  const struct gpio_api *io = gpio->api;
  unsigned sum = 1;
  for (unsigned step = 0; step < 20; step++) {
    unsigned now = time->read(counter);
    while (time->read(counter) == now) __asm__ volatile("wfi");
    io->set(gpio, step % 7, (int)(step & 2));
    for (unsigned pin = 0; pin < 7; pin++) sum = sum * 31 + (unsigned)io->get(gpio, pin);
  }
  log_text("devices ");
  log_number((unsigned)(devices_end - devices_start));
  log_text(", sum ");
  log_number(sum % 10000);
  log_text("\n");
  return 0;
}

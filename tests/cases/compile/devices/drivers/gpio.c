#include "device.h"
static unsigned pins = 0x5;
static void set(const struct device *d, unsigned pin, int on) {
  unsigned *state = d->state;
  *state = on ? *state | 1u << pin : *state & ~(1u << pin);
}
static int get(const struct device *d, unsigned pin) { return *(unsigned *)d->state >> pin & 1; }
static int init(const struct device *d) { return *(unsigned *)d->state != 0x5; }
static const struct gpio_api api = {set, get};
DEVICE(gpio, init, &api, &pins);

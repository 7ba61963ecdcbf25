#include "device.h"
extern unsigned data_load[], data_start[], data_end[], bss_start[], bss_end[];
static unsigned failed;
const struct device *device_get(const char *name) {
  for (const struct device *d = devices_start; d < devices_end; d++)
    if (text_equal(d->name, name)) return d;
  return 0;
}
void reset(void) {
  for (unsigned *from = data_load, *to = data_start; to < data_end;) *to++ = *from++;
  for (unsigned *to = bss_start; to < bss_end;) *to++ = 0;
  for (const struct device *d = devices_start; d < devices_end; d++)
    if (d->init(d)) failed++;
  stop(failed ? 1 : main());
}

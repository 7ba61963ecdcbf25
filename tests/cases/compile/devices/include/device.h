#ifndef DEVICE_H
#define DEVICE_H
struct device {
  const char *name;
  int (*init)(const struct device *);
  const void *api;
  void *state;
};
#define DEVICE(id, init_fn, api_ptr, state_ptr)                                        \
  __attribute__((used, section(".devices." #id))) static const struct device device_##id = \
      {#id, init_fn, api_ptr, state_ptr}
extern const struct device devices_start[], devices_end[];
const struct device *device_get(const char *name);
struct uart_api { void (*put)(const struct device *, char); };
struct counter_api { unsigned (*read)(const struct device *); };
struct gpio_api { void (*set)(const struct device *, unsigned, int); int (*get)(const struct device *, unsigned); };
void log_text(const char *text);
void log_number(unsigned value);
void stop(int code);
int main(void);
int text_equal(const char *a, const char *b);
#endif

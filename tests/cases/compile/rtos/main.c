#include "kernel.h"
extern unsigned data_load[], data_start[], data_end[], bss_start[], bss_end[];
static queue_t queue;
static unsigned sum = 7;

static void produce(void *argument) {
  unsigned *state = argument;
  *state = *state * 1103515245u + 12345u;
  queue_send(&queue, (int)(*state >> 16 & 255));
}
static void consume(void *argument) {
  int value;
  (void)argument;
  while (queue_receive(&queue, &value)) sum = (sum ^ (unsigned)value) * 16777619u;
}
static void report(void *argument) {
  print((const char *)argument);
  print_number(sum % 1000);
  print("\n");
}
static int run(void) {
  unsigned *state = allocate(sizeof *state);
  if (!state) return 1;
  *state = 42;
  task_create(produce, state, 1);
  task_create(consume, 0, 3);
  task_create(report, (void *)"sum ", 10);
  kernel_run(40);
  return kernel_ticks() < 40;
}
void reset_handler(void) {
  for (unsigned *from = data_load, *to = data_start; to < data_end;) *to++ = *from++;
  for (unsigned *to = bss_start; to < bss_end;) *to++ = 0;
  stop(run());
}

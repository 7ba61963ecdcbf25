#include "kernel.h"
#define MOST 6
typedef struct { task_fn run; void *argument; unsigned period, due, runs; } task_t;
static task_t tasks[MOST];
static volatile unsigned ticks, switches;
static unsigned count;

void systick_handler(void) { ticks++; }
void pendsv_handler(void) { switches++; }
void svc_handler(void) { switches += 2; }
unsigned kernel_ticks(void) { return ticks; }

int task_create(task_fn run, void *argument, unsigned period) {
  if (count == MOST) return -1;
  tasks[count] = (task_t){run, argument, period ? period : 1, period, 0};
  return (int)count++;
}

static task_t *next_due(unsigned now) {
  task_t *best = 0;
  for (unsigned i = 0; i < count; i++)
    if (tasks[i].due <= now && (!best || tasks[i].due < best->due)) best = &tasks[i];
  return best;
}

void kernel_run(unsigned until) {
  volatile unsigned *systick = (volatile unsigned *)0xE000E010;
  systick[1] = 5000;
  systick[2] = 0;
  systick[0] = 7;
  unsigned now = 0;
  while (now < until) {
    unsigned seen = ticks;
    while (ticks == seen) __asm__ volatile("wfi");
    now++;
    for (task_t *task; (task = next_due(now));) {
      task->run(task->argument);
      task->due += task->period;
      task->runs++;
    }
  }
  for (unsigned i = 0; i < count; i++) {
    print("task ");
    print_number(i);
    print(" ran ");
    print_number(tasks[i].runs);
    print("\n");
  }
}

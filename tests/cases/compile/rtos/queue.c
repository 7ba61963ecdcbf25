#include "kernel.h"
int queue_send(queue_t *q, int value) {
  if (q->head - q->tail == 8) return 0;
  q->slots[q->head++ % 8] = value;
  return 1;
}
int queue_receive(queue_t *q, int *value) {
  if (q->head == q->tail) return 0;
  *value = q->slots[q->tail++ % 8];
  return 1;
}
int queue_waiting(const queue_t *q) { return (int)(q->head - q->tail); }

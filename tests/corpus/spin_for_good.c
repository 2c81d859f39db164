// A thread waits for a flag by looking at it, without end. Healthy: it computes for a while, then rests,
// again and again.
#include "tests/corpus/corpus.h"

static volatile unsigned long rounds;
static volatile int is_set;

NOINLINE static void await_flag(void) {
  const struct timespec none = {0, 0};
  struct timespec begin = none, now = none;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  while (!is_set) {
    for (int i = 0; i < 1000000; ++i) ++rounds;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!faulty &&
        (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 > scale_ms / 10)
      return;
  }
}

THREAD(run_waiter) {
  enter("flag-waiter");
  for (;; nap(scale_ms / 2)) await_flag();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_waiter, NULL);
  add_culprit(tid_of("flag-waiter"));
  live();
}

// A barrier for four, and three threads come. Healthy: all four.
#include "tests/corpus/corpus.h"

static pthread_barrier_t step_barrier;
static const char* const names[] = {"grid-north", "grid-east", "grid-south", "grid-west"};

NOINLINE static void end_step(void) {
  pthread_barrier_wait(&step_barrier);
}

static void* run_grid(void* argument) {
  const int who = (int)(long)argument;
  enter(names[who]);
  if (faulty && who == 3) return NULL;
  for (;; nap(BEAT_MS)) end_step();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  pthread_barrier_init(&step_barrier, NULL, 4);
  for (long i = 0; i < 4; ++i) {
    const pthread_t thread = start(run_grid, (void*)i);
    if (faulty && i == 3) pthread_join(thread, NULL);
  }
  for (int i = 0; i < 3; ++i) culprit(names[i], SYS_futex);
  live();
}

// A worker waits for a semaphore that nobody posts any more: who did has ended. Nothing tells it from one
// that has nothing to do. Healthy: just that, the poster is there and may post some day.
#include <semaphore.h>

#include "tests/corpus/corpus.h"

static sem_t jobs;

NOINLINE static void take_job(void) {
  sem_wait(&jobs);
}

THREAD(run_taker) {
  enter("job-taker");
  for (;;) take_job();
  return NULL;
}

THREAD(run_poster) {
  enter("job-poster");
  sem_post(&jobs);
  if (faulty) return NULL;
  for (;; nap(AN_HOUR_MS)) sem_post(&jobs);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  sem_init(&jobs, 0, 0);
  start(run_taker, NULL);
  const pthread_t poster = start(run_poster, NULL);
  tid_of("job-poster");
  if (faulty) pthread_join(poster, NULL);
  culprit("job-taker", SYS_futex);
  live();
}

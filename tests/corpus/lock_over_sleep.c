// A thread sleeps for an hour with a lock in its hand; one waits for it. Healthy: it sleeps as long without
// it.
#include "tests/corpus/corpus.h"

static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int is_held;

NOINLINE static void back_off(void) {
  pthread_mutex_lock(&rate_lock);
  set_word(&is_held);
  if (!faulty) pthread_mutex_unlock(&rate_lock);
  nap(AN_HOUR_MS);
  if (faulty) pthread_mutex_unlock(&rate_lock);
}

NOINLINE static void count_request(void) {
  pthread_mutex_lock(&rate_lock);
  pthread_mutex_unlock(&rate_lock);
}

THREAD(run_limiter) {
  enter("rate-limiter");
  for (;;) back_off();
  return NULL;
}

THREAD(run_counter) {
  enter("req-counter");
  await_word(&is_held);
  for (;; nap(BEAT_MS)) count_request();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_limiter, NULL);
  start(run_counter, NULL);
  culprit("rate-limiter", SYS_clock_nanosleep);
  bystander("req-counter", SYS_futex);
  live();
}

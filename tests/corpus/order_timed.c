// As order_two, but each gives up after an hour: a circle of locks that will dissolve, long after anybody
// cares. Healthy: both lock in the same order.
#include "tests/corpus/corpus.h"

static pthread_mutex_t index_lock = PTHREAD_MUTEX_INITIALIZER, log_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int has_first[2];

NOINLINE static void write_both(pthread_mutex_t* first, pthread_mutex_t* second, int who) {
  struct timespec end;
  pthread_mutex_lock(first);
  set_word(&has_first[who]);
  if (faulty) await_word(&has_first[!who]);
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += 3600;
  if (!pthread_mutex_timedlock(second, &end)) pthread_mutex_unlock(second);
  pthread_mutex_unlock(first);
}

THREAD(append) {
  enter("appender");
  for (;; nap(BEAT_MS)) write_both(&index_lock, &log_lock, 0);
  return NULL;
}

THREAD(compact) {
  enter("compactor");
  for (;; nap(BEAT_MS)) write_both(faulty ? &log_lock : &index_lock, faulty ? &index_lock : &log_lock, 1);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(append, NULL);
  start(compact, NULL);
  culprit("appender", SYS_futex);
  culprit("compactor", SYS_futex);
  live();
}

// A thread joins a worker while it holds the lock that the worker needs to end. Healthy: it lets go before.
#include "tests/corpus/corpus.h"

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void drain_queue(void) {
  pthread_mutex_lock(&queue_lock);
  pthread_mutex_unlock(&queue_lock);
}

THREAD(drain) {
  enter("drain-worker");
  drain_queue();
  return NULL;
}

NOINLINE static void shut_down(void) {
  pthread_mutex_lock(&queue_lock);
  const pthread_t worker = start(drain, NULL);
  nap(1);
  if (!faulty) pthread_mutex_unlock(&queue_lock);
  pthread_join(worker, NULL);
  if (faulty) pthread_mutex_unlock(&queue_lock);
}

THREAD(manage) {
  enter("manager");
  for (;; nap(BEAT_MS)) shut_down();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(manage, NULL);
  culprit("manager", SYS_futex);
  culprit("drain-worker", SYS_futex);
  live();
}

// A function that holds a normal mutex calls one that takes it too. Healthy: it lets go before.
#include "tests/corpus/corpus.h"

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int entries;

NOINLINE static void evict_entry(void) {
  pthread_mutex_lock(&cache_lock);
  entries = 0;
  pthread_mutex_unlock(&cache_lock);
}

NOINLINE static void insert_entry(void) {
  pthread_mutex_lock(&cache_lock);
  const int full = ++entries > 3;
  if (!faulty) pthread_mutex_unlock(&cache_lock);
  if (full) evict_entry();
  if (faulty) pthread_mutex_unlock(&cache_lock);
}

THREAD(fill) {
  enter("cache-filler");
  for (;; nap(BEAT_MS)) insert_entry();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(fill, NULL);
  culprit("cache-filler", SYS_futex);
  live();
}

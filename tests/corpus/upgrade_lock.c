// A thread that holds a rwlock for reading wants it for writing as well. Healthy: it lets go and takes it
// anew.
#include "tests/corpus/corpus.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

NOINLINE static void insert_if_absent(void) {
  pthread_rwlock_rdlock(&table_lock);
  if (!faulty) pthread_rwlock_unlock(&table_lock);
  pthread_rwlock_wrlock(&table_lock);
  pthread_rwlock_unlock(&table_lock);
}

THREAD(insert) {
  enter("table-inserter");
  for (;; nap(BEAT_MS)) insert_if_absent();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(insert, NULL);
  culprit("table-inserter", SYS_futex);
  live();
}

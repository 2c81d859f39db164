// A reader holds a rwlock while it joins a thread that wants it for writing. A rwlock keeps no names of
// readers, so from outside the writer waits for nobody that is known. Healthy: the reader lets go before it
// joins.
#include "tests/corpus/corpus.h"

static pthread_rwlock_t config_lock = PTHREAD_RWLOCK_INITIALIZER;

NOINLINE static void apply_config(void) {
  pthread_rwlock_wrlock(&config_lock);
  pthread_rwlock_unlock(&config_lock);
}

THREAD(apply) {
  enter("config-writer");
  apply_config();
  return NULL;
}

NOINLINE static void check_config(void) {
  pthread_rwlock_rdlock(&config_lock);
  const pthread_t writer = start(apply, NULL);
  if (!faulty) pthread_rwlock_unlock(&config_lock);
  pthread_join(writer, NULL);
  if (faulty) pthread_rwlock_unlock(&config_lock);
}

THREAD(check) {
  enter("config-reader");
  for (;; nap(BEAT_MS)) check_config();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(check, NULL);
  culprit("config-writer", SYS_futex);
  bystander("config-reader", SYS_futex);
  live();
}

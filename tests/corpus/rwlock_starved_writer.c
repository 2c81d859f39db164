// Two readers take a rwlock in turn so that it never is without one; glibc's default lets readers in before a
// writer that waits. Healthy: a rwlock that prefers writers (the readers never nest).
#include "tests/corpus/corpus.h"

static pthread_rwlock_t price_lock;
static volatile int turn;  // the reader that is to come in next
static volatile int is_read;

// Not to let go before the other has come in; where writers come first the other cannot, so that ends.
NOINLINE static void read_prices(int who) {
  pthread_rwlock_rdlock(&price_lock);
  set_word(&is_read);
  __atomic_store_n(&turn, !who, __ATOMIC_SEQ_CST);
  for (int i = 0; __atomic_load_n(&turn, __ATOMIC_SEQ_CST) != who && (faulty || i < 2); ++i) nap(20);
  pthread_rwlock_unlock(&price_lock);
}

static void* run_reader(void* argument) {
  const int who = (int)(long)argument;
  enter(who ? "price-reader-2" : "price-reader-1");
  for (;; nap(20)) {
    while (faulty && __atomic_load_n(&turn, __ATOMIC_SEQ_CST) != who) nap(20);
    read_prices(who);
  }
  return NULL;
}

NOINLINE static void publish_price(void) {
  pthread_rwlock_wrlock(&price_lock);
  pthread_rwlock_unlock(&price_lock);
}

THREAD(run_publisher) {
  enter("publisher");
  await_word(&is_read);
  for (;; nap(BEAT_MS)) publish_price();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  if (!faulty) pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&price_lock, &attributes);
  start(run_reader, (void*)0L);
  start(run_reader, (void*)1L);
  start(run_publisher, NULL);
  culprit("publisher", SYS_futex);
  live();
}

// A thread ends while it holds a mutex, and others want that one for good. Healthy: the mutex is robust, who
// comes next is told of it (EOWNERDEAD) and mends what it guards.
#include "tests/corpus/corpus.h"

static pthread_mutex_t account_lock;
static volatile int is_left;

NOINLINE static void close_account(void) {
  pthread_mutex_lock(&account_lock);
  // An early return that forgets to unlock.
}

THREAD(close_accounts) {
  enter("account-closer");
  close_account();
  return NULL;
}

NOINLINE static void open_account(void) {
  if (pthread_mutex_lock(&account_lock) == EOWNERDEAD) pthread_mutex_consistent(&account_lock);
  pthread_mutex_unlock(&account_lock);
}

THREAD(open_accounts) {
  enter("account-opener");
  await_word(&is_left);
  for (;; nap(BEAT_MS)) open_account();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_mutex(&account_lock, PTHREAD_MUTEX_NORMAL, faulty ? 0 : kRobust);
  start(open_accounts, NULL);
  pthread_join(start(close_accounts, NULL), NULL);
  set_word(&is_left);
  culprit("account-opener", SYS_futex);
  live();
}

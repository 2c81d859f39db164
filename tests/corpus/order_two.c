// Two threads move money between the same two accounts, and each locks the one that it takes from first.
// Healthy: both lock in the same order.
#include "tests/corpus/corpus.h"

static pthread_mutex_t savings = PTHREAD_MUTEX_INITIALIZER, current = PTHREAD_MUTEX_INITIALIZER;
static volatile int has_first[2];

NOINLINE static void move_money(pthread_mutex_t* from, pthread_mutex_t* to, int who) {
  pthread_mutex_lock(from);
  set_word(&has_first[who]);
  if (faulty) await_word(&has_first[!who]);
  pthread_mutex_lock(to);
  nap(1);
  pthread_mutex_unlock(to);
  pthread_mutex_unlock(from);
}

THREAD(save) {
  enter("saver");
  for (;; nap(BEAT_MS)) move_money(&current, &savings, 0);
  return NULL;
}

THREAD(spend) {
  enter("spender");
  for (;; nap(BEAT_MS)) move_money(faulty ? &savings : &current, faulty ? &current : &savings, 1);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(save, NULL);
  start(spend, NULL);
  culprit("saver", SYS_futex);
  culprit("spender", SYS_futex);
  live();
}

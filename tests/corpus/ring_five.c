// Five philosophers, five forks; each takes the left one, then the right one.
// Healthy: the last one takes the right one first, so there is an order.
#include "tests/corpus/corpus.h"

enum { kCount = 5 };
static pthread_mutex_t locks[kCount];
static volatile int has_first[kCount];

NOINLINE static void take_forks(int who) {
  const int in_order = !faulty && who == kCount - 1;
  pthread_mutex_t *left = &locks[who], *right = &locks[(who + 1) % kCount];
  pthread_mutex_lock(in_order ? right : left);
  set_word(&has_first[who]);
  for (int i = 0; i < kCount && faulty; ++i) await_word(&has_first[i]);
  pthread_mutex_lock(in_order ? left : right);
  nap(1);
  pthread_mutex_unlock(left);
  pthread_mutex_unlock(right);
}

static const char* const names[] = {"diner-1", "diner-2", "diner-3", "diner-4", "diner-5"};

static void* run_diner(void* argument) {
  const int who = (int)(long)argument;
  enter(names[who]);
  for (;; nap(BEAT_MS)) take_forks(who);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  for (int i = 0; i < kCount; ++i) make_mutex(&locks[i], PTHREAD_MUTEX_NORMAL, 0);
  for (long i = 0; i < kCount; ++i) start(run_diner, (void*)i);
  for (int i = 0; i < kCount; ++i) culprit(names[i], SYS_futex);
  live();
}

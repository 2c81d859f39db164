// Three stages of a pipeline, each with a lock of its own, hand on to the next in a circle while they keep
// theirs. Healthy: the last of them takes the first lock first, so there is an order.
#include "tests/corpus/corpus.h"

enum { kCount = 3 };
static pthread_mutex_t locks[kCount];
static volatile int has_first[kCount];

NOINLINE static void hand_over(int who) {
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

static const char* const names[] = {"stage-1", "stage-2", "stage-3"};

static void* run_stage(void* argument) {
  const int who = (int)(long)argument;
  enter(names[who]);
  for (;; nap(BEAT_MS)) hand_over(who);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  for (int i = 0; i < kCount; ++i) make_mutex(&locks[i], PTHREAD_MUTEX_NORMAL, 0);
  for (long i = 0; i < kCount; ++i) start(run_stage, (void*)i);
  for (int i = 0; i < kCount; ++i) culprit(names[i], SYS_futex);
  live();
}

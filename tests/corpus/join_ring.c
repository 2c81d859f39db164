// Three threads join each other in a circle; glibc refuses only circles of one and two
// (nptl/pthread_join_common.c). Healthy: each thread has a helper to join, which ends.
#include "tests/corpus/corpus.h"

static pthread_t threads[3];
static volatile int all_there;
static const char* const names[] = {"phase-load", "phase-sort", "phase-store"};

THREAD(help) {
  nap(5);
  return NULL;
}

NOINLINE static void await_next_phase(int who) {
  const pthread_t next = faulty ? threads[(who + 1) % 3] : start(help, NULL);
  pthread_join(next, NULL);
  nap(BEAT_MS);
}

static void* run_phase(void* argument) {
  const int who = (int)(long)argument;
  enter(names[who]);
  await_word(&all_there);
  for (;;) await_next_phase(who);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  for (long i = 0; i < 3; ++i) threads[i] = start(run_phase, (void*)i);
  set_word(&all_there);
  for (int i = 0; i < 3; ++i) culprit(names[i], SYS_futex);
  live();
}

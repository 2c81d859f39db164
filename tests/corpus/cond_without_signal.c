// A waiter waits on a condition variable; who should signal sets the flag and forgets to. Nothing tells it
// from a worker that has nothing to do. Healthy: it is signalled, and then there is nothing to do.
#include "tests/corpus/corpus.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static volatile int waits, revision;

NOINLINE static void await_revision(int wanted) {
  pthread_mutex_lock(&mutex);
  set_word(&waits);
  while (revision < wanted) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

THREAD(run_follower) {
  enter("follower");
  for (int wanted = 1;; ++wanted) await_revision(wanted);
  return NULL;
}

THREAD(run_leader) {
  enter("leader");
  await_word(&waits);
  pthread_mutex_lock(&mutex);
  ++revision;
  pthread_mutex_unlock(&mutex);
  if (!faulty) pthread_cond_signal(&changed);
  rest_for_good();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_follower, NULL);
  start(run_leader, NULL);
  bystander("leader", CALL_OF_PAUSE);
  culprit("follower", SYS_futex);
  live();
}

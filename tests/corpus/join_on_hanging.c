// A thread joins a worker that hangs in a lock, whose holder waits for a signal that nobody sends. Healthy:
// the signal comes.
#include "tests/corpus/corpus.h"

static pthread_mutex_t spool_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int is_held;

NOINLINE static void await_rotation(void) {
  sigset_t set;
  int number;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_mutex_lock(&spool_lock);
  set_word(&is_held);
  sigwait(&set, &number);
  pthread_mutex_unlock(&spool_lock);
}

THREAD(run_rotator) {
  enter("rotator");
  for (;; nap(BEAT_MS)) await_rotation();
  return NULL;
}

NOINLINE static void flush_spool(void) {
  pthread_mutex_lock(&spool_lock);
  pthread_mutex_unlock(&spool_lock);
}

THREAD(run_flusher) {
  enter("flusher");
  flush_spool();
  return NULL;
}

NOINLINE static void stop_flusher(void) {
  pthread_join(start(run_flusher, NULL), NULL);
}

THREAD(run_stopper) {
  enter("stopper");
  await_word(&is_held);
  for (;; nap(BEAT_MS)) stop_flusher();
  return NULL;
}

THREAD(run_signaller) {
  enter("signaller");
  if (faulty) rest_for_good();
  for (;; nap(SLOW_BEAT_MS)) kill(getpid(), SIGUSR1);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  start(run_rotator, NULL);
  start(run_stopper, NULL);
  start(run_signaller, NULL);
  culprit("rotator", SYS_rt_sigtimedwait);
  bystander("stopper", SYS_futex);
  bystander("flusher", SYS_futex);
  live();
}

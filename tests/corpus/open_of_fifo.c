// A thread opens a FIFO for reading while it holds a lock, and nobody opens it for writing. Healthy: somebody
// does.
#include "tests/corpus/corpus.h"

static pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;
static int fifo;
static volatile int is_held;

NOINLINE static void open_control(void) {
  pthread_mutex_lock(&control_lock);
  set_word(&is_held);
  close(open_anew(fifo, O_RDONLY));
  pthread_mutex_unlock(&control_lock);
}

NOINLINE static void look_at_control(void) {
  pthread_mutex_lock(&control_lock);
  pthread_mutex_unlock(&control_lock);
}

THREAD(run_opener) {
  enter("ctl-opener");
  for (;; nap(BEAT_MS)) open_control();
  return NULL;
}

THREAD(run_looker) {
  enter("ctl-looker");
  await_word(&is_held);
  for (;; nap(BEAT_MS)) look_at_control();
  return NULL;
}

THREAD(run_writer) {
  enter("ctl-writer");
  if (faulty) rest_for_good();
  for (;; nap(SLOW_BEAT_MS)) close(open_anew(fifo, O_WRONLY));
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  fifo = nameless(1);
  start(run_opener, NULL);
  start(run_looker, NULL);
  start(run_writer, NULL);
  culprit("ctl-opener", SYS_openat);
  bystander("ctl-looker", SYS_futex);
  live();
}

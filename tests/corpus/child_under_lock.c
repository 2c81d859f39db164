// A thread waits for a child process while it holds a lock; the child hangs for good. Two more wait for the
// lock. Healthy: the child ends.
#include "tests/corpus/corpus.h"

static pthread_mutex_t render_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile pid_t child;

NOINLINE static void render_page(void) {
  if (faulty) rest_for_good();
}

// A thread that forks and waits for its end must outlive the child: this one does.
NOINLINE static void convert_page(void) {
  pthread_mutex_lock(&render_lock);
  const pid_t pid = fork_child("renderer", render_page);
  __atomic_store_n(&child, pid, __ATOMIC_SEQ_CST);
  waitpid(pid, NULL, 0);
  pthread_mutex_unlock(&render_lock);
}

THREAD(run_converter) {
  enter("converter");
  for (;; nap(SLOW_BEAT_MS)) convert_page();
  return NULL;
}

NOINLINE static void queue_page(void) {
  pthread_mutex_lock(&render_lock);
  pthread_mutex_unlock(&render_lock);
}

static void* run_queuer(void* name) {
  enter((const char*)name);
  await_word(&child);
  for (;; nap(BEAT_MS)) queue_page();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_converter, NULL);
  start(run_queuer, (void*)"queuer-1");
  start(run_queuer, (void*)"queuer-2");
  await_word(&child);
  const pid_t pid = child;
  culprit("converter", SYS_wait4);
  bystander("queuer-1", SYS_futex);
  bystander("queuer-2", SYS_futex);
  child_is_in(pid, CALL_OF_PAUSE);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

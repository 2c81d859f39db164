// A thread waits for a child process whose main thread wants a lock that another thread of it holds while it
// sleeps. Healthy: the sleeper lets go first, and the child ends.
#include "tests/corpus/corpus.h"

static pthread_mutex_t import_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared { volatile pid_t child, sleeper; } * shared;
static volatile int is_held;

NOINLINE static void poll_source(void) {
  pthread_mutex_lock(&import_lock);
  set_word(&is_held);
  if (!faulty) pthread_mutex_unlock(&import_lock);
  nap(AN_HOUR_MS);
  if (faulty) pthread_mutex_unlock(&import_lock);
}

THREAD(run_poller) {
  shared->sleeper = enter("source-poller");
  for (;;) poll_source();
  return NULL;
}

NOINLINE static void import_rows(void) {
  pthread_mutex_lock(&import_lock);
  pthread_mutex_unlock(&import_lock);
}

static void run_import(void) {
  start(run_poller, NULL);
  await_word(&is_held);
  import_rows();
}

NOINLINE static void await_import(void) {
  const pid_t pid = fork_child("importer", run_import);
  __atomic_store_n(&shared->child, pid, __ATOMIC_SEQ_CST);
  waitpid(pid, NULL, 0);
}

THREAD(run_scheduler) {
  enter("scheduler");
  for (;; nap(SLOW_BEAT_MS)) await_import();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  shared = (struct shared*)shared_memory(sizeof(*shared));
  start(run_scheduler, NULL);
  await_word(&shared->child);
  const pid_t pid = shared->child;
  bystander("scheduler", SYS_wait4);
  child_is_in(pid, SYS_futex);
  if (faulty) await_asleep(pid, shared->sleeper, SYS_clock_nanosleep);
  add_culprit(shared->sleeper);
  tell_pids(&pid, 1);
  live();
}

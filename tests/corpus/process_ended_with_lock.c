// A process ends while it holds a mutex in shared memory. Healthy: the mutex is robust.
#include "tests/corpus/corpus.h"

static pthread_mutex_t* segment_lock;
static volatile int* is_taken;

NOINLINE static void write_segment(void) {
  if (pthread_mutex_lock(segment_lock) == EOWNERDEAD) pthread_mutex_consistent(segment_lock);
  set_word(is_taken);
}

static void run_crasher(void) {
  write_segment();
  rest_for_good();
}

static void run_writer(void) {
  for (;; nap(BEAT_MS)) {
    write_segment();
    pthread_mutex_unlock(segment_lock);
  }
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  is_taken = (volatile int*)shared_memory(4096);
  segment_lock = (pthread_mutex_t*)shared_memory(4096);
  make_mutex(segment_lock, PTHREAD_MUTEX_NORMAL, faulty ? kShared : kShared | kRobust);
  const pid_t crasher = fork_child("seg-crasher", run_crasher);
  await_word(is_taken);
  kill(crasher, SIGKILL);
  waitpid(crasher, NULL, 0);
  const pid_t pid = fork_child("seg-writer", run_writer);
  child_is_in(pid, SYS_futex);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

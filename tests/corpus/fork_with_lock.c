// A process forks while another thread of it holds the lock of an allocator: in the child that lock stays
// locked, and nobody is there who could give it back. Healthy: the lock is taken around the fork
// (pthread_atfork).
#include "tests/corpus/corpus.h"

static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int is_allocating;

static void lock_arena(void) {
  pthread_mutex_lock(&arena_lock);
}
static void unlock_arena(void) {
  pthread_mutex_unlock(&arena_lock);
}

NOINLINE static void take_from_arena(void) {
  pthread_mutex_lock(&arena_lock);
  set_word(&is_allocating);
  nap(5);
  pthread_mutex_unlock(&arena_lock);
}

THREAD(allocate) {
  enter("allocating");
  for (;; nap(20)) take_from_arena();
  return NULL;
}

NOINLINE static void run_child(void) {
  for (;; nap(BEAT_MS)) take_from_arena();
}

NOINLINE static pid_t spawn_logger(void) {
  pid_t pid;
  // Until it hits the moment, as it will one day.
  do {
    is_allocating = 0;
    await_word(&is_allocating);
    pid = fork_child("logger-child", run_child);
    char path[64], text[64] = "";
    for (int tries = 0; faulty && tries < 100; ++tries, nap(1)) {
      snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, pid);
      const int file = open(path, O_RDONLY | O_CLOEXEC);
      if (file < 0 || read(file, text, sizeof(text) - 1) < 0) text[0] = 0;
      if (file >= 0) close(file);
      if (atol(text) == SYS_futex && text[0] >= '0' && text[0] <= '9') return pid;
    }
    if (faulty) {
      kill(pid, SIGKILL);
      waitpid(pid, NULL, 0);
    }
  } while (faulty);
  return pid;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  if (!faulty) pthread_atfork(lock_arena, unlock_arena, unlock_arena);
  start(allocate, NULL);
  tid_of("allocating");
  const pid_t pid = spawn_logger();
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

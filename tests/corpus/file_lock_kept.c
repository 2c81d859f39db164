// A process keeps the lock of a file while it sleeps for an hour; another one waits for it. Healthy: it lets
// go before it sleeps.
#include <sys/file.h>

#include "tests/corpus/corpus.h"

static int database;
static volatile int* is_locked;

NOINLINE static void back_up(void) {
  const int fd = open_anew(database, O_RDWR);
  if (flock(fd, LOCK_EX)) die("flock");
  set_word(is_locked);
  if (!faulty) flock(fd, LOCK_UN);
  nap(AN_HOUR_MS);
}

NOINLINE static void update_database(void) {
  const int fd = open_anew(database, O_RDWR);
  if (flock(fd, LOCK_EX)) die("flock");
  close(fd);
}

THREAD(run_updater) {
  enter("db-updater");
  await_word(is_locked);
  for (;; nap(BEAT_MS)) update_database();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  is_locked = (volatile int*)shared_memory(4096);
  database = nameless(0);
  const pid_t pid = fork_child("backup", back_up);
  start(run_updater, NULL);
  bystander("db-updater", SYS_flock);
  child_is_in(pid, SYS_clock_nanosleep);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

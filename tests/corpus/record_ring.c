// Thirteen processes, each with a record lock (fcntl), want that of the next. The kernel follows such a
// circle over ten steps only (fs/locks.c, MAX_DEADLK_ITERATIONS), so this one stands. Healthy: the last one
// wants the first record first.
#include "tests/corpus/corpus.h"

enum { kCount = 13 };
static int ledger;
static volatile int* has_first;
static int who;

static void set_record(int record, short type) {
  struct flock lock;
  memset(&lock, 0, sizeof(lock));
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = record;
  lock.l_len = 1;
  if (fcntl(ledger, F_SETLKW, &lock)) die("F_SETLKW");
}

NOINLINE static void book_entry(int first, int second) {
  set_record(first, F_WRLCK);
  set_word(&has_first[who]);
  for (int i = 0; i < kCount && faulty; ++i) await_word(&has_first[i]);
  set_record(second, F_WRLCK);
  set_record(second, F_UNLCK);
  set_record(first, F_UNLCK);
}

static void run_clerk(void) {
  const int next = (who + 1) % kCount;
  for (;; nap(BEAT_MS)) book_entry(next < who && !faulty ? next : who, next < who && !faulty ? who : next);
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  has_first = (volatile int*)shared_memory(4096);
  ledger = nameless(0);
  pid_t pids[kCount];
  for (who = 0; who < kCount; ++who) {
    char name[32];
    snprintf(name, sizeof(name), "clerk-%d", who);
    pids[who] = fork_child(name, run_clerk);
  }
  for (int i = 0; i < kCount; ++i) {
    child_is_in(pids[i], SYS_fcntl);
    add_culprit(pids[i]);
  }
  tell_pids(pids, kCount);
  live();
}

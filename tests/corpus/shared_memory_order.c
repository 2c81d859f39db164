// Two processes take two mutexes in shared memory in opposite orders. Healthy: in the same order.
#include "tests/corpus/corpus.h"

static struct shared {
  pthread_mutex_t table, journal;
  volatile int has_first[2];
} * shared;

NOINLINE static void update_shared(pthread_mutex_t* first, pthread_mutex_t* second, int who) {
  pthread_mutex_lock(first);
  set_word(&shared->has_first[who]);
  if (faulty) await_word(&shared->has_first[!who]);
  pthread_mutex_lock(second);
  nap(1);
  pthread_mutex_unlock(second);
  pthread_mutex_unlock(first);
}

static void run_writer(void) {
  for (;; nap(BEAT_MS)) update_shared(&shared->table, &shared->journal, 0);
}

static void run_checkpointer(void) {
  for (;; nap(BEAT_MS))
    update_shared(faulty ? &shared->journal : &shared->table, faulty ? &shared->table : &shared->journal, 1);
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  shared = (struct shared*)shared_memory(sizeof(*shared));
  make_mutex(&shared->table, PTHREAD_MUTEX_NORMAL, kShared);
  make_mutex(&shared->journal, PTHREAD_MUTEX_NORMAL, kShared);
  const pid_t pids[] = {fork_child("table-writer", run_writer), fork_child("checkpointer", run_checkpointer)};
  for (int i = 0; i < 2; ++i) {
    child_is_in(pids[i], SYS_futex);
    add_culprit(pids[i]);
  }
  tell_pids(pids, 2);
  live();
}

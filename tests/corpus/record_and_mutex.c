// One process has a record lock and wants a mutex in shared memory, the other has the mutex and wants the
// record: a circle that the kernel cannot see. Healthy: both take the mutex first.
#include "tests/corpus/corpus.h"

static pthread_mutex_t* catalogue;
static volatile int* has_first;
static int records;

NOINLINE static void lock_record(short type) {
  struct flock lock;
  memset(&lock, 0, sizeof(lock));
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  if (fcntl(records, F_SETLKW, &lock)) die("F_SETLKW");
}

NOINLINE static void update_catalogue(int record_first, int who) {
  if (record_first)
    lock_record(F_WRLCK);
  else
    pthread_mutex_lock(catalogue);
  set_word(&has_first[who]);
  if (faulty) await_word(&has_first[!who]);
  if (record_first)
    pthread_mutex_lock(catalogue);
  else
    lock_record(F_WRLCK);
  nap(1);
  lock_record(F_UNLCK);
  pthread_mutex_unlock(catalogue);
}

static void run_importer(void) {
  for (;; nap(BEAT_MS)) update_catalogue(faulty, 0);
}

static void run_exporter(void) {
  for (;; nap(BEAT_MS)) update_catalogue(0, 1);
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  has_first = (volatile int*)shared_memory(4096);
  catalogue = (pthread_mutex_t*)shared_memory(4096);
  make_mutex(catalogue, PTHREAD_MUTEX_NORMAL, kShared);
  records = nameless(0);
  const pid_t pids[] = {fork_child("importer", run_importer), fork_child("exporter", run_exporter)};
  child_is_in(pids[0], SYS_futex);
  child_is_in(pids[1], SYS_fcntl);
  add_culprit(pids[0]);
  add_culprit(pids[1]);
  tell_pids(pids, 2);
  live();
}

// Two processes lock two files by flock(), in opposite orders: the kernel does not look for circles of these.
// Healthy: in the same order.
#include <sys/file.h>

#include "tests/corpus/corpus.h"

static int inbox, outbox;
static volatile int* has_first;

NOINLINE static void move_mail(int first, int second, int who) {
  if (flock(first, LOCK_EX)) die("flock");
  set_word(&has_first[who]);
  if (faulty) await_word(&has_first[!who]);
  if (flock(second, LOCK_EX)) die("flock");
  nap(1);
  flock(second, LOCK_UN);
  flock(first, LOCK_UN);
}

static void run_fetcher(void) {
  const int in = open_anew(inbox, O_RDWR), out = open_anew(outbox, O_RDWR);
  for (;; nap(BEAT_MS)) move_mail(in, out, 0);
}

static void run_sender(void) {
  const int in = open_anew(inbox, O_RDWR), out = open_anew(outbox, O_RDWR);
  for (;; nap(BEAT_MS)) move_mail(faulty ? out : in, faulty ? in : out, 1);
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  has_first = (volatile int*)shared_memory(4096);
  inbox = nameless(0);
  outbox = nameless(0);
  const pid_t pids[] = {fork_child("mail-fetcher", run_fetcher), fork_child("mail-sender", run_sender)};
  for (int i = 0; i < 2; ++i) {
    child_is_in(pids[i], SYS_flock);
    add_culprit(pids[i]);
  }
  tell_pids(pids, 2);
  live();
}

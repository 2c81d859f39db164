// A thread sends to a helper process that reads nothing, until the buffers are full. Healthy: it reads.
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

static int ends[2];

NOINLINE static void ship_metrics(void) {
  static char batch[16384];
  if (send(ends[0], batch, sizeof(batch), 0) < 0) die("send");
}

THREAD(run_shipper) {
  enter("shipper");
  for (;; nap(BEAT_MS)) ship_metrics();
  return NULL;
}

NOINLINE static void receive_metrics(void) {
  static char batch[16384];
  close(ends[0]);
  if (faulty) rest_for_good();
  while (recv(ends[1], batch, sizeof(batch), 0) > 0) {
  }
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  const pid_t pid = fork_child("metrics-sink", receive_metrics);
  close(ends[1]);
  start(run_shipper, NULL);
  culprit("shipper", SYS_sendto);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

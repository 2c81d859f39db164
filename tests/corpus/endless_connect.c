// A thread connects to a listener whose queue is full and that accepts nobody: its SYN is dropped again and
// again. Healthy: the listener accepts.
#include <arpa/inet.h>
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

static struct sockaddr_in address;
static int listener;

NOINLINE static int connect_upstream(void) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof(address)) && !faulty) die("connect");
  return fd;
}

THREAD(run_connector) {
  enter("connector");
  for (;; nap(BEAT_MS)) {
    const int fd = connect_upstream();
    if (!faulty) close(fd);
  }
  return NULL;
}

THREAD(run_acceptor) {
  enter("acceptor");
  if (faulty) rest_for_good();
  for (;;) close(accept(listener, NULL, NULL));
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  socklen_t size = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, size) || listen(listener, 0) ||
      getsockname(listener, (struct sockaddr*)&address, &size))
    die("loopback");
  start(run_acceptor, NULL);
  start(run_connector, NULL);
  culprit("connector", SYS_connect);
  live();
}

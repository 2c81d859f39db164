// A thread for each connection, which reads until the peer closes. Faulty: peers vanish without a word, as a
// machine that is switched off, and the threads stay. Healthy: load grows and goes, and peers close.
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

static int peers[80];

NOINLINE static void serve_peer(int fd) {
  char byte;
  while (read(fd, &byte, 1) > 0) {
  }
  close(fd);
}

static void* serve_connection(void* argument) {
  enter("connection");
  serve_peer((int)(long)argument);
  return NULL;
}

NOINLINE static int accept_connection(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  pthread_detach(start(serve_connection, (void*)(long)ends[0]));
  return ends[1];
}

THREAD(accept_connections) {
  enter("acceptor");
  for (int i = 0; faulty && i < 70; ++i, nap(scale_ms / 5)) peers[i] = accept_connection();
  if (faulty) rest_for_good();
  for (;;) {
    for (int i = 0; i < 25; ++i, nap(scale_ms / 10)) peers[i] = accept_connection();
    for (int i = 0; i < 25; ++i, nap(scale_ms / 20)) close(peers[i]);
    nap(scale_ms / 2);
  }
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(accept_connections, NULL);
  live();
}

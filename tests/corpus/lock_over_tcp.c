// A thread waits for the answer of a server while it holds the connection's mutex; the server took the
// connection and says nothing. Two more wait for the mutex. Healthy: the server answers.
#include <arpa/inet.h>
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

static pthread_mutex_t connection_lock = PTHREAD_MUTEX_INITIALIZER;
static int connection, listener;
static volatile int is_held;

NOINLINE static void query_database(void) {
  char row;
  pthread_mutex_lock(&connection_lock);
  set_word(&is_held);
  if (write(connection, "q", 1) != 1 || read(connection, &row, 1) < 0) die("query");
  pthread_mutex_unlock(&connection_lock);
}

static void* run_handler(void* name) {
  enter((const char*)name);
  if (strcmp((const char*)name, "handler-1")) await_word(&is_held);
  for (;; nap(BEAT_MS)) query_database();
  return NULL;
}

THREAD(serve_database) {
  enter("database");
  const int client = accept(listener, NULL, NULL);
  char query;
  while (read(client, &query, 1) == 1) {
    if (faulty) rest_for_good();
    if (write(client, "r", 1) != 1) die("write");
  }
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  struct sockaddr_in address;
  socklen_t size = sizeof(address);
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, size) || listen(listener, 1) ||
      getsockname(listener, (struct sockaddr*)&address, &size) ||
      connect(connection, (struct sockaddr*)&address, size))
    die("loopback");
  start(serve_database, NULL);
  start(run_handler, (void*)"handler-1");
  start(run_handler, (void*)"handler-2");
  start(run_handler, (void*)"handler-3");
  culprit("handler-1", SYS_read);
  bystander("handler-2", SYS_futex);
  bystander("handler-3", SYS_futex);
  live();
}

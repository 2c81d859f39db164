// Forty threads wait for one mutex; its holder waits for a second one, whose holder waits for an answer that
// does not come. One finding, and its root is that last one. Healthy: answers come.
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

enum { kRequests = 40 };
static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER, store_lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2];
static volatile int store_is_held, session_is_held;

NOINLINE static void load_from_store(void) {
  char answer;
  pthread_mutex_lock(&store_lock);
  set_word(&store_is_held);
  if (recv(ends[0], &answer, 1, 0) < 0) die("recv");
  pthread_mutex_unlock(&store_lock);
}

NOINLINE static void renew_session(void) {
  pthread_mutex_lock(&session_lock);
  set_word(&session_is_held);
  pthread_mutex_lock(&store_lock);
  pthread_mutex_unlock(&store_lock);
  pthread_mutex_unlock(&session_lock);
}

NOINLINE static void look_up_session(void) {
  pthread_mutex_lock(&session_lock);
  pthread_mutex_unlock(&session_lock);
}

THREAD(run_loader) {
  enter("store-loader");
  for (;; nap(BEAT_MS)) load_from_store();
  return NULL;
}

THREAD(run_renewer) {
  enter("renewer");
  await_word(&store_is_held);
  for (;; nap(BEAT_MS)) renew_session();
  return NULL;
}

static void* run_request(void* argument) {
  char name[16];
  snprintf(name, sizeof(name), "request-%d", (int)(long)argument);
  enter(name);
  await_word(&session_is_held);
  for (;; nap(500)) look_up_session();
  return NULL;
}

THREAD(run_store) {
  enter("store");
  if (faulty) rest_for_good();
  for (;; nap(SLOW_BEAT_MS))
    if (send(ends[1], "a", 1, 0) != 1) die("send");
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  start(run_loader, NULL);
  start(run_renewer, NULL);
  start(run_store, NULL);
  for (long i = 0; i < kRequests; ++i) start(run_request, (void*)i);
  culprit("store-loader", SYS_recvfrom);
  bystander("renewer", SYS_futex);
  for (int i = 0; i < kRequests; ++i) {
    char name[16];
    snprintf(name, sizeof(name), "request-%d", i);
    bystander(name, SYS_futex);
  }
  live();
}

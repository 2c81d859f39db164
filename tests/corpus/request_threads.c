// A detached thread for each request; it waits for a reply that never comes, and so never ends. Healthy:
// requests come in bursts, and their threads end when they are answered.
#include "tests/corpus/corpus.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t replied = PTHREAD_COND_INITIALIZER;
static volatile int replies;

NOINLINE static void await_reply(void) {
  pthread_mutex_lock(&mutex);
  const int before = replies;
  while (replies == before) pthread_cond_wait(&replied, &mutex);
  pthread_mutex_unlock(&mutex);
}

THREAD(handle_request) {
  enter("request");
  await_reply();
  return NULL;
}

NOINLINE static void dispatch_request(void) {
  pthread_detach(start(handle_request, NULL));
}

NOINLINE static void reply_to_all(void) {
  pthread_mutex_lock(&mutex);
  ++replies;
  pthread_cond_broadcast(&replied);
  pthread_mutex_unlock(&mutex);
}

THREAD(accept_requests) {
  enter("dispatcher");
  for (int i = 0; faulty && i < 70; ++i, nap(scale_ms / 5)) dispatch_request();
  if (faulty) rest_for_good();
  for (;;) {
    for (int i = 0; i < 30; ++i, nap(scale_ms / 50)) dispatch_request();
    reply_to_all();
    nap(scale_ms);
  }
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(accept_requests, NULL);
  live();
}

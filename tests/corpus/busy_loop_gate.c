// An event loop that polls without ever sleeping, and keeps its helpers before a gate, a mutex each, until
// there is work for them. Healthy: it opens the gates, waits for the work by looking at words, and shuts them
// again. Faulty: it forgets to open them, and looks at those words for ever.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "tests/corpus/corpus.h"

#define HELPERS 2
#define QUIET_MS 3000  // from load to load: longer than any threshold of a second

static pthread_mutex_t gates[HELPERS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static volatile int pending[HELPERS];
static volatile int are_shut;
static int load;    // an eventfd
static int events;  // an epoll

static int is_pending(void) {
  int sum = 0;
  for (int i = 0; i < HELPERS; ++i) sum += __atomic_load_n(&pending[i], __ATOMIC_SEQ_CST);
  return sum;
}

NOINLINE static void await_helpers(void) {
  while (is_pending()) {
  }
}

NOINLINE static void share_work(void) {
  for (int i = 0; i < HELPERS; ++i) set_word(&pending[i]);
  if (!faulty) {
    __atomic_store_n(&are_shut, 0, __ATOMIC_SEQ_CST);
    for (int i = 0; i < HELPERS; ++i) pthread_mutex_unlock(&gates[i]);
  }
  await_helpers();
  for (int i = 0; i < HELPERS; ++i) pthread_mutex_lock(&gates[i]);
  set_word(&are_shut);
}

NOINLINE static void poll_events(void) {
  struct epoll_event event;
  uint64_t count;
  while (epoll_wait(events, &event, 1, 0) == 0) {
  }
  if (read(load, &count, sizeof(count)) == sizeof(count)) share_work();
}

THREAD(run_loop) {
  enter("event-loop");
  setpriority(PRIO_PROCESS, 0, 5);  // of this thread: less in the way of others
  for (int i = 0; i < HELPERS; ++i) pthread_mutex_lock(&gates[i]);
  set_word(&are_shut);
  for (;;) poll_events();
  return NULL;
}

static void* run_helper(void* argument) {
  const long who = (long)argument;
  enter(who ? "io-helper-2" : "io-helper-1");
  for (;;) {
    await_word(&are_shut);
    pthread_mutex_lock(&gates[who]);
    __atomic_store_n(&pending[who], 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&gates[who]);
  }
  return NULL;
}

THREAD(bring_load) {
  const uint64_t one = 1;
  enter("load");
  for (;; nap(QUIET_MS))
    if (write(load, &one, sizeof(one)) != sizeof(one)) die("eventfd");
  return NULL;
}

int main(int argc, char** argv) {
  struct epoll_event event = {.events = EPOLLIN};
  corpus_begin(argc, argv);
  load = eventfd(0, EFD_CLOEXEC);
  events = epoll_create1(EPOLL_CLOEXEC);
  if (load < 0 || events < 0 || epoll_ctl(events, EPOLL_CTL_ADD, load, &event)) die("epoll");
  start(run_loop, NULL);
  await_word(&are_shut);
  for (long i = 0; i < HELPERS; ++i) start(run_helper, (void*)i);
  start(bring_load, NULL);
  bystander("io-helper-1", SYS_futex);
  bystander("io-helper-2", SYS_futex);
  add_culprit(tid_of("event-loop"));
  live();
}

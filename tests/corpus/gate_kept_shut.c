// An event loop that polls without ever sleeping keeps its helper before a gate, a mutex. Faulty: load comes,
// and the loop, which should open the gate then, does not. Healthy: no load comes.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "tests/corpus/corpus.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static volatile int is_shut;
static volatile unsigned long answers;
static int load;    // an eventfd
static int events;  // an epoll

NOINLINE static void answer_alone(void) {
  uint64_t count;
  if (read(load, &count, sizeof(count)) == sizeof(count)) answers += count;
}

NOINLINE static void poll_events(void) {
  struct epoll_event event;
  while (epoll_wait(events, &event, 1, 0) == 0) {
  }
  answer_alone();
}

THREAD(run_loop) {
  enter("event-loop");
  setpriority(PRIO_PROCESS, 0, 5);  // of this thread: less in the way of others
  pthread_mutex_lock(&gate);
  set_word(&is_shut);
  for (;;) poll_events();
  return NULL;
}

NOINLINE static void pass_gate(void) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
}

THREAD(run_helper) {
  enter("io-helper");
  await_word(&is_shut);
  pass_gate();
  return NULL;
}

THREAD(bring_load) {
  const uint64_t one = 1;
  enter("load");
  for (;; nap(BEAT_MS))
    if (faulty && write(load, &one, sizeof(one)) != sizeof(one)) die("eventfd");
  return NULL;
}

int main(int argc, char** argv) {
  struct epoll_event event = {.events = EPOLLIN};
  corpus_begin(argc, argv);
  load = eventfd(0, EFD_CLOEXEC);
  events = epoll_create1(EPOLL_CLOEXEC);
  if (load < 0 || events < 0 || epoll_ctl(events, EPOLL_CTL_ADD, load, &event)) die("epoll");
  start(run_loop, NULL);
  await_word(&is_shut);
  start(run_helper, NULL);
  start(bring_load, NULL);
  await_asleep(getpid(), tid_of("io-helper"), SYS_futex);
  add_culprit(tid_of("io-helper"));
  live();
}

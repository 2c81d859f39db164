// A POSIX timer that calls back in a thread (SIGEV_THREAD): glibc makes one for each expiry, and the callback
// waits for an event that does not come. Healthy: it returns.
#include <semaphore.h>

#include "tests/corpus/corpus.h"

static sem_t acknowledged;
static volatile int calls;

NOINLINE static void on_interval(MAYBE_UNUSED union sigval value) {
  enter("interval-call");
  if (faulty && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) < 70) sem_wait(&acknowledged);
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  sem_init(&acknowledged, 0, 0);
  struct sigevent event;
  memset(&event, 0, sizeof(event));
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_notify_function = on_interval;
  const struct timespec interval = {scale_ms / 5000, scale_ms / 5 % 1000 * 1000000L};
  const struct itimerspec times = {interval, interval};
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &times, NULL)) die("timer");
  live();
}

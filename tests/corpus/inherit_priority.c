// Two mutexes with priority inheritance, taken in opposite orders. The kernel sees the circle and refuses the
// last step; glibc then has that thread wait for good on a word of its own stack, as POSIX has it for normal
// mutexes (nptl/pthread_mutex_lock.c, "Delay the thread indefinitely"). Healthy: the same order.
#include "tests/corpus/corpus.h"

static pthread_mutex_t sensor_lock, motor_lock;
static volatile int has_first[2];

NOINLINE static void control_step(pthread_mutex_t* first, pthread_mutex_t* second, int who) {
  pthread_mutex_lock(first);
  set_word(&has_first[who]);
  if (faulty) await_word(&has_first[!who]);
  pthread_mutex_lock(second);
  nap(1);
  pthread_mutex_unlock(second);
  pthread_mutex_unlock(first);
}

THREAD(sense) {
  enter("rt-sensor");
  for (;; nap(BEAT_MS)) control_step(&sensor_lock, &motor_lock, 0);
  return NULL;
}

THREAD(move) {
  enter("rt-motor");
  for (;; nap(BEAT_MS))
    control_step(faulty ? &motor_lock : &sensor_lock, faulty ? &sensor_lock : &motor_lock, 1);
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_mutex(&sensor_lock, PTHREAD_MUTEX_NORMAL, kInherit);
  make_mutex(&motor_lock, PTHREAD_MUTEX_NORMAL, kInherit);
  start(sense, NULL);
  start(move, NULL);
  culprit("rt-sensor", SYS_futex);
  culprit("rt-motor", SYS_futex);
  live();
}

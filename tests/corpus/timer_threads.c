// Each time that a timer is armed anew a thread is made that sleeps in a loop, and the one before is
// forgotten. Healthy: the program arms twenty of them as it starts up, and then no more.
#include "tests/corpus/corpus.h"

static void* fire_timer(void* argument) {
  enter("timer");
  for (;;) nap((long)argument);
  return NULL;
}

NOINLINE static void arm_timer(void) {
  pthread_detach(start(fire_timer, (void*)(long)(scale_ms * 4)));
}

THREAD(arm_timers) {
  enter("timer-armer");
  for (int i = 0; i < (faulty ? 70 : 20); ++i) {
    arm_timer();
    nap(faulty ? scale_ms / 5 : scale_ms / 20);
  }
  rest_for_good();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(arm_timers, NULL);
  live();
}

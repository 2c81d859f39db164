// Threads are made at a steady pace, in a cgroup whose pids.max (the test sets it, expected.json says how
// much) is not far; a thread that cannot be made is not fatal. Healthy: a few are made as it starts up, and
// then no more.
#include "tests/corpus/corpus.h"

THREAD(watch_directory) {
  enter("dir-watcher");
  rest_for_good();
}

NOINLINE static void add_watch(void) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  pthread_create(&thread, &attributes, watch_directory, NULL);
  pthread_attr_destroy(&attributes);
}

THREAD(add_watches) {
  enter("watch-adder");
  for (int i = 0; i < (faulty ? 70 : 10); ++i) {
    add_watch();
    nap(faulty ? scale_ms / 5 : 1);
  }
  rest_for_good();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(add_watches, NULL);
  live();
}

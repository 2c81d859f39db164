// Six threads compute without end. Faulty: the test puts them into a cgroup with next to no CPU
// (expected.json says how much); healthy: they compute a little and rest, and the cgroup gives enough.
#include <sys/resource.h>

#include "tests/corpus/corpus.h"

static volatile unsigned long rounds;

NOINLINE static void encode_frame(void) {
  for (int i = 0; i < 100000; ++i) ++rounds;
}

static void* run_encoder(void* name) {
  enter((const char*)name);
  setpriority(PRIO_PROCESS, 0, 19);  // of this thread: in nobody's way until it is in the cgroup
  for (;;) {
    encode_frame();
    if (!faulty) nap(BEAT_MS);
  }
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  static const char* const names[] = {"encoder-1", "encoder-2", "encoder-3",
                                      "encoder-4", "encoder-5", "encoder-6"};
  for (int i = 0; i < 6; ++i) start(run_encoder, (void*)names[i]);
  for (int i = 0; i < 6; ++i) add_culprit(tid_of(names[i]));
  live();
}

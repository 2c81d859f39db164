// The initialiser of a std::call_once joins a thread that goes through the same once. Healthy: the thread
// uses a once of its own.
#include <mutex>
#include <thread>

#include "tests/corpus/corpus.h"

namespace {

std::once_flag driver_once, codec_once;
int initialised;

NOINLINE void probe_codec() {
  std::call_once(faulty ? driver_once : codec_once, [] { ++initialised; });
}

NOINLINE void init_driver() {
  std::thread prober([] {
    enter("codec-prober");
    probe_codec();
  });
  prober.join();
}

void* use_driver(void*) {
  enter("driver-user");
  for (;; nap(BEAT_MS)) std::call_once(driver_once, init_driver);
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(use_driver, nullptr);
  culprit("codec-prober", SYS_futex);
  bystander("driver-user", SYS_futex);
  live();
}

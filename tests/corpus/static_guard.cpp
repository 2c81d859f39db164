// The initialiser of a static object starts a thread that uses that object, and joins it. Healthy: the thread
// uses another one.
#include <thread>

#include "tests/corpus/corpus.h"

namespace {

NOINLINE int load_settings();

NOINLINE int settings() {
  static const int loaded = load_settings();
  return loaded;
}

NOINLINE void read_locale() {
  if (faulty) settings();
}

NOINLINE int load_settings() {
  std::thread loader([] {
    enter("locale-loader");
    read_locale();
  });
  loader.join();
  return 1;
}

void* serve(void*) {
  enter("settings-user");
  for (;; nap(BEAT_MS)) settings();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(serve, nullptr);
  culprit("locale-loader", SYS_futex);
  bystander("settings-user", SYS_futex);
  live();
}

// A caller waits for the future of a std::async task while it holds the mutex that the task needs. Healthy:
// it lets go before it waits. libstdc++ joins the task's thread in get(), so all steps of the circle can be
// seen.
#include <future>
#include <mutex>

#include "tests/corpus/corpus.h"

namespace {

std::mutex model_lock;
int version;

NOINLINE int recompute() {
  enter("recompute");
  std::lock_guard<std::mutex> lock(model_lock);
  return ++version;
}

NOINLINE void refresh_view() {
  std::unique_lock<std::mutex> lock(model_lock);
  std::future<int> result = std::async(std::launch::async, recompute);
  if (!faulty) lock.unlock();
  result.get();
}

void* run_view(void*) {
  enter("view");
  for (;; nap(SLOW_BEAT_MS)) refresh_view();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_view, nullptr);
  culprit("view", SYS_futex);
  culprit("recompute", SYS_futex);
  live();
}

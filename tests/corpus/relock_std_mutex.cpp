// A method that holds a std::mutex calls another that takes it too. Healthy: it lets go before.
#include <mutex>

#include "tests/corpus/corpus.h"

namespace {

class Registry {
 public:
  NOINLINE void add() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++size_;
    if (!faulty) lock.unlock();
    report_size();
  }

  NOINLINE void report_size() {
    std::lock_guard<std::mutex> lock(mutex_);
    reported_ = size_;
  }

 private:
  std::mutex mutex_;
  int size_ = 0, reported_ = 0;
};

Registry registry;

void* run_registrar(void*) {
  enter("registrar");
  for (;; nap(BEAT_MS)) registry.add();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_registrar, nullptr);
  culprit("registrar", SYS_futex);
  live();
}

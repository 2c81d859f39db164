// With each reload of the configuration a pool of three workers is made, and the one before is forgotten,
// never shut down. Healthy: the old one is stopped and joined, after the new one has taken over.
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/corpus/corpus.h"

namespace {

class ResizePool {
 public:
  ResizePool() {
    for (int i = 0; i < 3; ++i) threads_.emplace_back(&ResizePool::resize_images, this);
  }
  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    come_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  NOINLINE void resize_images() {
    enter("resizer");
    std::unique_lock<std::mutex> lock(mutex_);
    come_.wait(lock, [this] { return stopping_; });
  }

  std::mutex mutex_;
  std::condition_variable come_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

ResizePool* pool;

NOINLINE void reload_configuration() {
  ResizePool* old = pool;
  pool = new ResizePool;
  nap(scale_ms / 10);
  if (!faulty && old) {
    old->stop();
    delete old;
  }
}

void* watch_configuration(void*) {
  enter("config-watcher");
  for (int i = 0; !faulty || i < 24; ++i, nap(scale_ms / 2)) reload_configuration();
  rest_for_good();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(watch_configuration, nullptr);
  live();
}

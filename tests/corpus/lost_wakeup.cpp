// A consumer waits on a std::condition_variable; the producer set the flag and notified before it came.
// Nothing tells it from a worker that has nothing to do. Healthy: the flag is looked at before waiting.
#include <condition_variable>
#include <mutex>

#include "tests/corpus/corpus.h"

namespace {

std::mutex mutex;
std::condition_variable arrived;
bool has_message;
volatile int is_notified;

NOINLINE void consume_message() {
  if (faulty) await_word(&is_notified);
  std::unique_lock<std::mutex> lock(mutex);
  if (faulty) {
    arrived.wait(lock);
  } else {
    arrived.wait(lock, [] { return has_message; });
    has_message = false;
  }
}

void* run_consumer(void*) {
  enter("consumer");
  consume_message();
  // Idle: there was one message.
  std::unique_lock<std::mutex> lock(mutex);
  for (;;) arrived.wait(lock);
}

void* run_producer(void*) {
  enter("producer");
  {
    std::lock_guard<std::mutex> lock(mutex);
    has_message = true;
  }
  arrived.notify_one();
  set_word(&is_notified);
  rest_for_good();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_producer, nullptr);
  start(run_consumer, nullptr);
  culprit("consumer", SYS_futex);
  live();
}

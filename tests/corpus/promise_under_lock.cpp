// A caller waits for a promise while it holds the mutex that the thread needs which is to fulfil it. A
// promise names nobody: seen from outside the caller waits for something, and a thread waits for the caller.
// Healthy: it lets go before it waits.
#include <future>
#include <mutex>
#include <optional>

#include "tests/corpus/corpus.h"

namespace {

std::mutex session_lock;
std::promise<int>* asked;
volatile int is_asked;

NOINLINE void answer_question() {
  std::lock_guard<std::mutex> lock(session_lock);
  asked->set_value(1);
}

void* run_answerer(void*) {
  enter("answerer");
  for (;;) {
    while (!__atomic_load_n(&is_asked, __ATOMIC_SEQ_CST)) nap(20);
    __atomic_store_n(&is_asked, 0, __ATOMIC_SEQ_CST);
    answer_question();
  }
}

NOINLINE void ask_and_wait() {
  std::unique_lock<std::mutex> lock(session_lock);
  std::promise<int> promise;
  asked = &promise;
  set_word(&is_asked);
  if (!faulty) lock.unlock();
  promise.get_future().get();
  if (lock.owns_lock()) lock.unlock();
  lock.lock();  // the answerer is done with the promise
}

void* run_asker(void*) {
  enter("asker");
  for (;; nap(BEAT_MS)) ask_and_wait();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_answerer, nullptr);
  start(run_asker, nullptr);
  culprit("asker", SYS_futex);
  bystander("answerer", SYS_futex);
  live();
}

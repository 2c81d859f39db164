// A batch starts std::threads and keeps them in a list, joinable; they end, and nobody joins them. Healthy:
// each batch joins its own.
#include <list>
#include <thread>

#include "tests/corpus/corpus.h"

namespace {

std::list<std::thread>* finished;
volatile int summed, is_spliced;

NOINLINE void sum_column(int column) {
  enter("column-summer");
  __atomic_add_fetch(&summed, column, __ATOMIC_SEQ_CST);
}

NOINLINE void run_batch() {
  std::list<std::thread> batch;
  for (int column = 0; column < 20; ++column) batch.emplace_back(sum_column, column);
  if (faulty)
    finished->splice(finished->end(), batch);
  else
    for (std::thread& thread : batch) thread.join();
}

void* run_batches(void*) {
  enter("batch-runner");
  finished = new std::list<std::thread>;
  run_batch();
  set_word(&is_spliced);
  while (faulty) rest_for_good();
  for (;; nap(scale_ms)) run_batch();
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_batches, nullptr);
  if (faulty) {
    await_word(&is_spliced);
    await_thread_count(2);
  }
  live();
}

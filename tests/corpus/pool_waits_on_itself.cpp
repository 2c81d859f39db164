// All workers of a pool wait for futures of jobs that are queued behind them. Futures name nobody, so from
// outside this is a pool whose workers wait. Healthy: a worker that waits for jobs has others left to do
// them.
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/corpus/corpus.h"

namespace {

class JobPool {
 public:
  explicit JobPool(int size) {
    static const char* const kNames[] = {"job-1", "job-2", "job-3", "job-4"};
    for (int i = 0; i < size; ++i)
      std::thread([this, i] {
        enter(kNames[i]);
        work();
      }).detach();
  }

  std::future<int> submit(std::function<int()> job) {
    std::packaged_task<int()> task(std::move(job));
    std::future<int> result = task.get_future();
    std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(task));
    come_.notify_one();
    return result;
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      come_.wait(lock, [this] { return !jobs_.empty(); });
      std::packaged_task<int()> task = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable come_;
  std::deque<std::packaged_task<int()>> jobs_;
};

JobPool* pool;
volatile int outer_jobs;

int inner_job() {
  return 1;
}

NOINLINE int outer_job() {
  // All workers have an outer job before one of them wants an inner one.
  __atomic_add_fetch(&outer_jobs, 1, __ATOMIC_SEQ_CST);
  while (faulty && __atomic_load_n(&outer_jobs, __ATOMIC_SEQ_CST) < 4) nap(1);
  std::future<int> inner = pool->submit(inner_job);
  return inner.get();
}

void* submit_jobs(void*) {
  enter("submitter");
  for (;; nap(BEAT_MS)) {
    std::vector<std::future<int>> results;
    for (int i = 0; i < (faulty ? 4 : 2); ++i) results.push_back(pool->submit(outer_job));
    for (std::future<int>& result : results) result.get();
  }
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  pool = new JobPool(4);
  start(submit_jobs, nullptr);
  for (const char* name : {"job-1", "job-2", "job-3", "job-4"}) culprit(name, SYS_futex);
  bystander("submitter", SYS_futex);
  live();
}

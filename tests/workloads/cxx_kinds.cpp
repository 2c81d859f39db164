// cxx_kinds [CASE...]: threads that wait in the locks and conditions of C++'s standard library.
#include <barrier>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <thread>

#include "tests/workloads/cases.h"

namespace kinds {

constexpr std::chrono::seconds kAnHour{AN_HOUR};

// What each waits in: never destroyed, the threads stay.
template <typename T>
T& made() {
  static T* const object = new T;
  return *object;
}

template <typename Lock>
NOINLINE void wait_in_lock(void* lock) {
  static_cast<Lock*>(lock)->lock();
  came_back("lock");
}

template <typename Lock>
void take(void* lock) {
  static_cast<Lock*>(lock)->lock();
}

template <typename Lock>
NOINLINE void wait_in_try_lock_for(void* lock) {
  (void)static_cast<Lock*>(lock)->try_lock_for(kAnHour);
  came_back("try_lock_for");
}

NOINLINE void wait_in_lock_shared(void* lock) {
  static_cast<std::shared_mutex*>(lock)->lock_shared();
  came_back("lock_shared");
}

void take_shared(void* lock) {
  static_cast<std::shared_mutex*>(lock)->lock_shared();
}

wait lock_wait(const volatile void* lock, size_t size, pid_t holder, const char* frames) {
  wait expected{};
  expected.kind = "lock";
  expected.call = "futex";
  expected.object = lock;
  expected.size = size;
  expected.holder = holder;
  expected.holder_state = holder ? "alive" : "none|unknown";
  expected.scope = "private";
  expected.frames = frames;
  return expected;
}

template <typename Lock>
void lock_case(const char* name) {
  Lock& lock = *new Lock;
  block(name, wait_in_lock<Lock>, &lock,
        lock_wait(&lock, sizeof(lock), holder_of(take<Lock>, &lock), "kinds::wait_in_lock< thread_of_case"));
}

template <typename Lock>
void timed_case(const char* name) {
  Lock& lock = *new Lock;
  wait expected = lock_wait(&lock, sizeof(lock), holder_of(take<Lock>, &lock),
                            "kinds::wait_in_try_lock_for< thread_of_case");
  expected.timeout_s = AN_HOUR;
  block(name, wait_in_try_lock_for<Lock>, &lock, expected);
}

void reader_case(const char* name) {
  auto& lock = *new std::shared_mutex;
  block(name, wait_in_lock_shared, &lock,
        lock_wait(&lock, sizeof(lock), holder_of(take<std::shared_mutex>, &lock),
                  "kinds::wait_in_lock_shared thread_of_case"));
}

void behind_readers_case(const char* name) {
  auto& lock = *new std::shared_mutex;
  holder_of(take_shared, &lock);
  block(name, wait_in_lock<std::shared_mutex>, &lock,
        lock_wait(&lock, sizeof(lock), 0, "kinds::wait_in_lock< thread_of_case"));
}

// --- without an owner ------------------------------------------------------------------------------

wait quiet_wait(const char* kind, const char* frames, int timeout_s = 0) {
  wait expected{};
  expected.kind = kind;
  expected.call = "futex";
  expected.holder_state = "none|unknown";  // none of them may be named
  expected.timeout_s = timeout_s;
  expected.frames = frames;
  return expected;
}

NOINLINE void wait_in_condition(void*) {
  std::unique_lock lock(made<std::mutex>());
  made<std::condition_variable>().wait(lock, [] { return false; });
  came_back("condition_variable");
}

NOINLINE void wait_in_condition_for(void*) {
  static std::mutex mutex;
  std::unique_lock lock(mutex);
  static auto& condition = *new std::condition_variable;
  condition.wait_for(lock, kAnHour, [] { return false; });
  came_back("condition_variable");
}

void condition_case(const char* name) {
  wait expected = quiet_wait("condvar", "kinds::wait_in_condition thread_of_case");
  expected.object = &made<std::condition_variable>();
  expected.size = sizeof(std::condition_variable);
  block(name, wait_in_condition, nullptr, expected);
}

void condition_for_case(const char* name) {
  block(name, wait_in_condition_for, nullptr,
        quiet_wait("condvar", "kinds::wait_in_condition_for thread_of_case", AN_HOUR));
}

NOINLINE void wait_in_future(void*) {
  made<std::promise<int>>().get_future().get();
  came_back("future");
}

void future_case(const char* name) {
  block(name, wait_in_future, nullptr, quiet_wait("condvar|futex", "kinds::wait_in_future thread_of_case"));
}

NOINLINE void wait_in_latch(void*) {
  static std::latch latch(1);
  latch.wait();
  came_back("latch");
}

void latch_case(const char* name) {
  block(name, wait_in_latch, nullptr, quiet_wait("barrier|futex", "kinds::wait_in_latch thread_of_case"));
}

NOINLINE void wait_in_semaphore(void*) {
  static std::counting_semaphore<4> semaphore(0);
  semaphore.acquire();
  came_back("counting_semaphore");
}

void semaphore_case(const char* name) {
  block(name, wait_in_semaphore, nullptr,
        quiet_wait("semaphore|futex", "kinds::wait_in_semaphore thread_of_case"));
}

NOINLINE void wait_in_barrier(void*) {
  static std::barrier barrier(2);
  barrier.arrive_and_wait();
  came_back("barrier");
}

void barrier_case(const char* name) {
  block(name, wait_in_barrier, nullptr, quiet_wait("barrier|futex", "kinds::wait_in_barrier thread_of_case"));
}

std::atomic<pid_t> joined;

NOINLINE void wait_in_thread_join(void*) {
  std::thread thread([] {
    joined = thread_id();
    rest_for_good();
  });
  thread.join();
  came_back("join");
}

void join_case(const char* name) {
  wait expected = quiet_wait("join", "kinds::wait_in_thread_join thread_of_case");
  const pid_t tid = start_thread(wait_in_thread_join, nullptr)->tid;
  await_asleep(name, getpid(), tid, &expected);
  while (!joined) pause_for(100000);
  await_asleep(name, getpid(), tid, &expected);
  expected.holder = joined;
  expected.holder_state = "alive";
  tell(name, getpid(), tid, &expected);
}

const case_of cases[] = {
    {"std::mutex", lock_case<std::mutex>},
    {"std::recursive_mutex", lock_case<std::recursive_mutex>},
    {"std::timed_mutex", timed_case<std::timed_mutex>},
    {"std::shared_mutex writer behind writer", lock_case<std::shared_mutex>},
    {"std::shared_mutex reader behind writer", reader_case},
    {"std::shared_mutex writer behind readers", behind_readers_case},
    {"std::condition_variable", condition_case},
    {"std::condition_variable for", condition_for_case},
    {"std::future", future_case},
    {"std::latch", latch_case},
    {"std::counting_semaphore", semaphore_case},
    {"std::barrier", barrier_case},
    {"std::thread join", join_case},
};

}  // namespace kinds

int main(int argc, char** argv) {
  return RUN_CASES(kinds::cases, argc, argv);
}

// The workloads' own side: what runs in the child.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "daemon/base/clock.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/workload.h"
#include "tests/bench/workload_protocol.h"

namespace loiter::bench {
namespace {

constexpr size_t kStackSize = 32 * 1024;
constexpr char kReady = 1;

// A word that nobody ever changes: who waits for it sleeps for good.
uint32_t never = 0;
std::atomic<int> asleep_soon{0};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  _exit(1);
}

long futex(void* word, int operation, uint32_t value) {
  return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

void* sleep_for_good(void*) {
  asleep_soon.fetch_add(1);
  while (true) futex(&never, FUTEX_WAIT, 0);
}

void* end_soon(void*) {
  asleep_soon.fetch_add(1);
  return nullptr;
}

// With its caller, start_thread, clone3 and syscall: eleven frames.
[[gnu::noinline]] long descend(int depth) {
  if (depth > 0) {
    const long result = descend(depth - 1);
    asm volatile("");  // else it becomes a loop
    return result + 1;
  }
  asleep_soon.fetch_add(1);
  while (futex(&never, FUTEX_WAIT, 0) >= 0 || errno == EINTR) {
  }
  return 0;
}

void* sleep_deep(void*) {
  return reinterpret_cast<void*>(descend(6) + 1);
}

void* end_at_once(void*) {
  return nullptr;
}

// Stacks lie side by side in one mapping: 20,000 of their own would pass vm.max_map_count with guards.
void start_sleepers(int count, void* (*routine)(void*) = sleep_for_good) {
  const size_t size = kStackSize * static_cast<size_t>(count);
  void* stacks =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) die("mmap");
  for (int i = 0; i < count; ++i) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, static_cast<char*>(stacks) + kStackSize * static_cast<size_t>(i),
                          kStackSize);
    pthread_t thread;
    if ((errno = pthread_create(&thread, &attributes, routine, nullptr))) die("pthread_create");
    pthread_attr_destroy(&attributes);
  }
  while (asleep_soon.load() < count) usleep(1000);
}

void pin_to(const std::string& cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(std::atoi(cpu.c_str()), &set);
  if (sched_setaffinity(0, sizeof(set), &set)) die("sched_setaffinity");
}

// Between two readings of the clock there is nothing: a gap is a time in which the thread did not run, or ran
// in the kernel.
class Spinner {
 public:
  explicit Spinner(const std::string& cpu) : cpu_(cpu) {
    pthread_t thread;
    if (pthread_create(
            &thread, nullptr, [](void* self) -> void* { static_cast<Spinner*>(self)->run(); }, this))
      die("pthread_create");
  }
  void begin() {
    set(kOn);
    while (state_.load() != kSpinning) usleep(100);
  }
  uint64_t end() {
    set(kOff);
    while (state_.load() != kResting) usleep(100);
    return largest_gap_ns_;
  }

 private:
  enum : uint32_t { kResting, kOn, kSpinning, kOff };
  void set(uint32_t state) {
    state_.store(state);
    futex(&state_, FUTEX_WAKE, 1);
  }
  [[noreturn]] void run() {
    pin_to(cpu_);
    // Ahead of what else wants the CPU, where that is allowed: its gaps are none of anybody's making here.
    const sched_param first{.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &first);
    while (true) {
      while (state_.load() != kOn) futex(&state_, FUTEX_WAIT, kResting);
      largest_gap_ns_ = 0;
      state_.store(kSpinning);
      for (uint64_t last = monotonic_now_ns(); state_.load() == kSpinning;) {
        const uint64_t now = monotonic_now_ns();
        if (now - last > largest_gap_ns_) largest_gap_ns_ = now - last;
        last = now;
      }
      state_.store(kResting);
    }
  }
  std::string cpu_;
  std::atomic<uint32_t> state_{kResting};
  uint64_t largest_gap_ns_ = 0;  // the thread's own while it spins
};

int run_spinning(const std::string& cpu) {
  start_sleepers(100, sleep_deep);
  Spinner spinner(cpu);
  write_all(STDOUT_FILENO, &kReady, sizeof(kReady));
  for (char request; read_all(STDIN_FILENO, &request, sizeof(request));) {
    if (request == kSpin) {
      spinner.begin();
      write_all(STDOUT_FILENO, &kReady, sizeof(kReady));
    } else {
      const uint64_t gap_ns = spinner.end();
      write_all(STDOUT_FILENO, &gap_ns, sizeof(gap_ns));
    }
  }
  _exit(0);  // its threads stay
}

int run_blocked(const std::string& count, void* (*routine)(void*)) {
  start_sleepers(std::atoi(count.c_str()), routine);
  write_all(STDOUT_FILENO, &kReady, sizeof(kReady));
  char end;
  read_all(STDIN_FILENO, &end, sizeof(end));  // until the bench goes
  return 0;
}

void create_and_join() {
  pthread_t thread;
  if ((errno = pthread_create(&thread, nullptr, end_at_once, nullptr))) die("pthread_create");
  pthread_join(thread, nullptr);
}

// Twenty each millisecond; whoever is late makes up for it.
uint64_t storm(int count) {
  const uint64_t start = monotonic_now_ns();
  for (int done = 0; done < count; ++done) {
    const uint64_t due =
        start + kSecondNs * static_cast<uint64_t>(done / 20 * 20) / static_cast<uint64_t>(count);
    const timespec until{static_cast<time_t>(due / kSecondNs), static_cast<long>(due % kSecondNs)};
    if (done % 20 == 0) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    create_and_join();
  }
  return monotonic_now_ns() - start;
}

int run_storm(const std::string& count) {
  start_sleepers(8);
  write_all(STDOUT_FILENO, &kReady, sizeof(kReady));
  for (char go; read_all(STDIN_FILENO, &go, sizeof(go));) {
    const uint64_t elapsed_ns = storm(std::atoi(count.c_str()));
    write_all(STDOUT_FILENO, &elapsed_ns, sizeof(elapsed_ns));
  }
  return 0;
}

// Two threads take turns: each wakes the other and sleeps. On one CPU that is two switches an operation.
class PingPong {
 public:
  PingPong() {
    pthread_t partner;
    if (pthread_create(
            &partner, nullptr, [](void* self) -> void* { static_cast<PingPong*>(self)->answer(); }, this))
      die("pthread_create");
  }
  void operator()() {
    hand_over(1);
    wait_while(1);
  }

 private:
  [[noreturn]] void answer() {
    while (true) {
      wait_while(0);
      hand_over(0);
    }
  }
  void hand_over(uint32_t to) {
    turn_.store(to);
    futex(&turn_, FUTEX_WAKE, 1);
  }
  void wait_while(uint32_t value) {
    while (turn_.load() == value) futex(&turn_, FUTEX_WAIT, value);
  }
  std::atomic<uint32_t> turn_{0};
};

Batch now() {
  return {.cpu_ns = cpu_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
          .own_ns = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID),
          .wall_ns = monotonic_now_ns()};
}

template <typename Operation>
int answer_batches(Operation operation) {
  write_all(STDOUT_FILENO, &kReady, sizeof(kReady));
  for (BatchRequest request; read_all(STDIN_FILENO, &request, sizeof(request));) {
    std::vector<Batch> batches(request.batches);
    for (Batch& batch : batches) {
      const Batch before = now();
      for (uint32_t i = 0; i < request.operations; ++i) operation();
      batch = now();
      batch.cpu_ns -= before.cpu_ns;
      batch.own_ns -= before.own_ns;
      batch.wall_ns -= before.wall_ns;
    }
    write_all(STDOUT_FILENO, batches.data(), batches.size() * sizeof(Batch));
  }
  return 0;
}

int run_operations(const std::string& name) {
  if (name == "ping_pong") {
    PingPong ping_pong;
    return answer_batches([&] { ping_pong(); });
  }
  if (name == "futex_wake") return answer_batches([] { futex(&never, FUTEX_WAKE, 1); });
  if (name == "getppid") return answer_batches([] { syscall(SYS_getppid); });
  if (name == "create_join") return answer_batches(create_and_join);
  std::fprintf(stderr, "bench: no workload '%s'\n", name.c_str());
  return 2;
}

}  // namespace

int run_workload(const std::string& name, const std::string& argument) {
  if (name == "blocked") return run_blocked(argument, sleep_for_good);
  if (name == "deep") return run_blocked(argument, sleep_deep);
  if (name == "pthreads") {
    const int half = std::atoi(argument.c_str()) / 2;
    start_sleepers(half, end_soon);
    asleep_soon = 0;
    return run_blocked(std::to_string(half), sleep_for_good);
  }
  if (name == "storm") return run_storm(argument);
  if (name == "spinning") return run_spinning(argument);
  pin_to(argument);
  return run_operations(name);
}

}  // namespace loiter::bench

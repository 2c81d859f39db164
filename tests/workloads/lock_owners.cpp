// lock_owners CASE [PATH]: threads that wait in what is easily taken for something else, or whose owner is
// easily taken for somebody else.
#include <sys/mman.h>

#include <linux/futex.h>
#include <atomic>
#include <barrier>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

#include "tests/workloads/cases.h"

namespace {

[[noreturn]] void serve() {
  tell_word("ready");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}

wait lock_wait(const volatile void* lock, size_t size, const char* scope) {
  wait expected{};
  expected.kind = "lock";
  expected.call = "futex";
  expected.object = lock;
  expected.size = size;
  expected.holder_state = "unknown";
  expected.scope = scope;
  return expected;
}

NOINLINE void wait_in_mutex(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
  came_back("pthread_mutex_lock");
}

void await_state_of_leader(const char* states) {
  while (!is_asleep(getpid(), getpid(), nullptr, states)) pause_for(100000);
}

void take_mutex(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
}

void rest(void*) {
  rest_for_good();
}

// The owner ended, and a thread that was born while others waited has its number. In a pid namespace of its
// own.
void number_again(const char* name, const char*) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  start* owner = start_thread(take_mutex, &mutex);
  pthread_join(owner->thread, nullptr);
  const wait expected = lock_wait(&mutex, sizeof(mutex), "private");
  const pid_t waiter = start_thread(wait_in_mutex, &mutex)->tid;
  await_asleep(name, getpid(), waiter, &expected);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // older than any that may have gone ahead
  const int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  const std::string before = std::to_string(owner->tid - 1);
  if (file < 0 || write(file, before.data(), before.size()) < 0) die("ns_last_pid");
  const pid_t heir = start_thread(rest, nullptr)->tid;
  if (heir != owner->tid) die("another number");
  await_resting(getpid(), heir);
  tell(name, getpid(), waiter, &expected);
}

pthread_mutex_t* in_file(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(pthread_mutex_t))) die(path);
  void* memory = mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) die("mmap");
  return static_cast<pthread_mutex_t*>(memory);
}

// Its second thread holds the lock in the file…
void holds_in_file(const char*, const char* path) {
  pthread_mutex_t* mutex = in_file(path);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(mutex, &attributes);
  holder_of(take_mutex, mutex);
}

// … that the second thread of another program waits for.
void waits_in_file(const char* name, const char* path) {
  pthread_mutex_t* mutex = in_file(path);
  block(name, wait_in_mutex, mutex, lock_wait(mutex, sizeof(*mutex), "shared"));
}

// The leader took it and ended; its process has no memory in /proc any more, its other threads have.
void leader_ended(const char* name, const char*) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  take_mutex(&mutex);
  start_thread(
      [](void* argument) {
        await_state_of_leader("Z");
        wait expected = lock_wait(&mutex, sizeof(mutex), "private");
        expected.holder = getpid();
        expected.holder_state = "ended";
        expected.frames = "pthread_mutex_lock thread_of_case";
        block(static_cast<const char*>(argument), wait_in_mutex, &mutex, expected);
        serve();
      },
      const_cast<char*>(name));
  pthread_exit(nullptr);
}

// --- futexes of its own, under functions that have such as well ------------------------------------------

// As in a mutex: what could be taken for its owner stands where a mutex has it.
struct Word {
  std::atomic<int> word = 7;
  int count = 0;
  pid_t owner = 0;
  int users = 0, kind = 0;
};

NOINLINE void wait_in_word(Word& word) {
  word.owner = getpid();
  while (true) syscall(SYS_futex, &word.word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 7, nullptr, nullptr, 0);
}

Word words[5];

void in_once(void*) {
  static std::once_flag once;
  std::call_once(once, [] { wait_in_word(words[0]); });
}

NOINLINE void with_barrier(std::barrier<>& barrier) {
  wait_in_word(words[1]);
  __asm__ volatile("" ::"r"(&barrier));
}

void in_barrier_user(void*) {
  std::barrier barrier(1);
  with_barrier(barrier);
}

NOINLINE void with_semaphore(std::counting_semaphore<3>& semaphore) {
  wait_in_word(words[2]);
  __asm__ volatile("" ::"r"(&semaphore));
}

void in_semaphore_user(void*) {
  std::counting_semaphore<3> semaphore(0);
  with_semaphore(semaphore);
}

void on_signal(int) {
  wait_in_word(words[3]);
}

void in_signal_handler(void*) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGUSR1, &action, nullptr);
  pthread_mutex_lock(&mutex);
  pthread_mutex_lock(&mutex);
}

void own_futexes(const char*, const char*) {
  constexpr std::array<std::pair<const char*, void (*)(void*)>, 4> kOwn{
      {{"in once", in_once},
       {"with a barrier", in_barrier_user},
       {"with a semaphore", in_semaphore_user},
       {"in a signal handler", in_signal_handler}}};
  for (size_t i = 0; i < kOwn.size(); ++i) {
    wait expected = lock_wait(&words[i], sizeof(words[i]), "private");
    expected.kind = "futex";
    const start* thread = start_thread(kOwn[i].second, nullptr);
    await_asleep(kOwn[i].first, getpid(), thread->tid, &expected);
    if (kOwn[i].second == in_signal_handler) {
      pthread_kill(thread->thread, SIGUSR1);
      while (words[i].owner == 0) pause_for(100000);
      await_asleep(kOwn[i].first, getpid(), thread->tid, &expected);
    }
    tell(kOwn[i].first, getpid(), thread->tid, &expected);
  }
}

// --- handed from hand to hand ------------------------------------------------------------------------------

// Each owner is born right before it takes the lock, ahead of all that wait, and ends right after.
pthread_mutex_t handed = PTHREAD_MUTEX_INITIALIZER;
pthread_attr_t detached;

void* young_owner(void*) {
  while (pthread_mutex_trylock(&handed)) {
  }
  pthread_t next;
  if (pthread_create(&next, &detached, young_owner, nullptr)) die("pthread_create");
  pause_for(300000);
  pthread_mutex_unlock(&handed);
  return nullptr;
}

void* waiter_in_turn(void*) {
  while (true) {
    pthread_mutex_lock(&handed);
    pthread_mutex_unlock(&handed);
  }
}

void young_owners(const char*, const char*) {
  constexpr int kWaiters = 600;  // each has its turn so seldom that a look finds most asleep
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&detached, 65536);
  pthread_t thread;
  for (int i = 0; i < kWaiters + 1; ++i)
    if (pthread_create(&thread, &detached, i ? waiter_in_turn : young_owner, nullptr)) die("pthread_create");
}

// --- writers after writers ---------------------------------------------------------------------------------

void* writer(void* holds_it_for_a_while) {
  static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  while (true) {
    pthread_rwlock_wrlock(&lock);
    if (holds_it_for_a_while) pause_for(50000);
    pthread_rwlock_unlock(&lock);
  }
}

void writers_only(const char*, const char*) {
  constexpr int kWriters = 12;
  pthread_t thread;
  for (int i = 0; i < kWriters; ++i)
    if (pthread_create(&thread, nullptr, writer, i % 2 ? &thread : nullptr)) die("pthread_create");
}

struct Case {
  const char* name;
  void (*make)(const char* name, const char* path);
};

constexpr std::array<Case, 7> kCases{{{"number again", number_again},
                                      {"leader ended", leader_ended},
                                      {"holds", holds_in_file},
                                      {"waits", waits_in_file},
                                      {"own futexes", own_futexes},
                                      {"young owners", young_owners},
                                      {"writers only", writers_only}}};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  for (const Case& one : kCases)
    if (!strcmp(one.name, argv[1])) one.make(one.name, argc > 2 ? argv[2] : nullptr);
  serve();
}

// changes: waits that change, and waiters that sleep on while what they wait for does. Told are the tids of
// each part as {"fact": PART, …}. Commands: "next": the owner of the mutex that all of "queue" want lets go
// of it; told is the new "owner". "semaphore", "condition", "mutex": what the thread "turncoat" waits at from
// now on; the mutex is one that the leader holds. "more": another process opens the other end of the pipe
// that the child "reader" reads of; told is its pid. "fewer": that one ends.
#include <errno.h>
#include <semaphore.h>
#include <sys/wait.h>

#include <atomic>
#include <vector>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

void await(sem_t& semaphore) {
  while (sem_wait(&semaphore)) {
  }
}

// Returns when the thread has told its tid.
void start_told(const char* part, const std::function<void()>& body) {
  sem_t told;
  sem_init(&told, 0, 0);
  start_thread([&told, part, body] {
    fact(R"({"fact": "%s", "tid": %d})", part, thread_id());
    sem_post(&told);
    body();
  });
  await(told);
}

// --- a queue at a mutex --------------------------------------------------------------------------------

constexpr int kQueue = 5;
pthread_mutex_t wanted;
sem_t let_go, has_it;
std::atomic<pid_t> owner;

void stand_in_queue() {
  pthread_mutex_lock(&wanted);
  owner = thread_id();
  sem_post(&has_it);
  await(let_go);
  pthread_mutex_unlock(&wanted);
  block_forever();
}

void make_queue() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&wanted, &attributes);
  sem_init(&let_go, 0, 0);
  sem_init(&has_it, 0, 0);
  for (int i = 0; i < kQueue; ++i) start_told("queue", stand_in_queue);
  await(has_it);
  fact(R"({"fact": "owner", "tid": %d})", owner.load());
}

// --- a thread that waits for this and that ---------------------------------------------------------------

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, guard = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
sem_t semaphore, passed;
std::atomic<char> place{'s'};

void turn_coats() {
  while (true) {
    switch (place) {
      case 's':
        await(semaphore);
        break;
      case 'c':
        pthread_mutex_lock(&guard);
        while (place == 'c') pthread_cond_wait(&condition, &guard);
        pthread_mutex_unlock(&guard);
        break;
      default:
        pthread_mutex_lock(&mutex);
        sem_post(&passed);
        pthread_mutex_unlock(&mutex);
    }
  }
}

// In the leader, which holds the mutex all the while but for a moment.
void turn_to(char next) {
  const char before = place;
  pthread_mutex_lock(&guard);
  place = next;
  pthread_cond_broadcast(&condition);
  pthread_mutex_unlock(&guard);
  if (before == 's') sem_post(&semaphore);
  if (before == 'm') {
    pthread_mutex_unlock(&mutex);
    await(passed);
    pthread_mutex_lock(&mutex);
  }
}

// --- descriptors ----------------------------------------------------------------------------------------

constexpr int kNumber = 99;  // of another file in the thread's own table than in the process's

void read_of_own_table(int pipe_end) {
  if (unshare(CLONE_FILES) || dup2(pipe_end, kNumber) != kNumber) die("own table");
  char byte;
  if (read(kNumber, &byte, 1) != 0) die("read");
  block_forever();
}

int write_end;
pid_t more;

pid_t child(const std::function<void()>& body) {
  const pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  die_with_parent(parent);
  body();
  _exit(0);
}

void make_reader() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  write_end = ends[1];
  const pid_t pid = child([&] {
    close(ends[1]);
    char byte;
    if (read(ends[0], &byte, 1) != 0) die("read");
  });
  close(ends[0]);
  fact(R"({"fact": "reader", "tid": %d})", pid);
}

void command(const std::string& line) {
  if (line == "next") {
    sem_post(&let_go);
    await(has_it);
    fact(R"({"fact": "owner", "tid": %d})", owner.load());
  } else if (line == "more") {
    more = child(block_forever);
    fact(R"({"fact": "more", "tid": %d})", more);
  } else if (line == "fewer") {
    kill(more, SIGKILL);
    if (waitpid(more, nullptr, 0) != more) die("waitpid");
  } else {
    turn_to(line[0]);
  }
}

}  // namespace

int main() {
  make_reader();
  make_queue();
  sem_init(&semaphore, 0, 0);
  sem_init(&passed, 0, 0);
  pthread_mutex_lock(&mutex);
  start_told("turncoat", turn_coats);
  start_told("timed", [] {
    sem_t never;
    sem_init(&never, 0, 0);
    timespec end{};
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 3600;
    while (sem_timedwait(&never, &end) && errno == EINTR) {
    }
    die("the hour is over");
  });
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) || dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), kNumber) != kNumber)
    die("pipe2");
  start_told("own table", [&ends] { read_of_own_table(ends[0]); });
  return serve(command);
}

// storm: births and ends at full rate, with totals known.
// Commands: "threads N": N threads are born and end, one after another; "processes N": likewise, reaped;
// "keep N": N threads are born and stay; "release": those end.
#include <sys/wait.h>

#include <atomic>
#include <vector>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
int generation;
std::vector<pthread_t> kept;

void* stay(void*) {
  pthread_mutex_lock(&mutex);
  for (const int born_in = generation; generation == born_in;) pthread_cond_wait(&let_go, &mutex);
  pthread_mutex_unlock(&mutex);
  return nullptr;
}

pthread_t create(void* (*body)(void*)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, body, nullptr)) die("pthread_create");
  pthread_attr_destroy(&attributes);
  return thread;
}

void release() {
  pthread_mutex_lock(&mutex);
  ++generation;
  pthread_cond_broadcast(&let_go);
  pthread_mutex_unlock(&mutex);
  for (pthread_t thread : kept) pthread_join(thread, nullptr);
  kept.clear();
}

void command(const std::string& line) {
  const int count = atoi(line.c_str() + line.find(' ') + 1);
  if (line.starts_with("threads "))
    for (int i = 0; i < count; ++i) pthread_join(create([](void*) -> void* { return nullptr; }), nullptr);
  if (line.starts_with("keep "))
    for (int i = 0; i < count; ++i) kept.push_back(create(stay));
  if (line == "release") release();
  if (line.starts_with("processes "))
    for (int i = 0; i < count; ++i) {
      const pid_t pid = fork();
      if (pid == 0) _exit(0);
      if (waitpid(pid, nullptr, 0) != pid) die("waitpid");
    }
}

}  // namespace

int main() {
  return serve(command);
}

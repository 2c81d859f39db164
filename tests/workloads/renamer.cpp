// renamer: a thread that is given names. Told: its tid.
// Commands: "self HEX": it names itself by prctl; "other HEX": the main thread names it through /proc. HEX is
// the bytes of the name, two digits each.
#include <semaphore.h>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

sem_t asked, renamed;
std::string name;
pid_t target;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

void rename_from_outside() {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/comm", target);
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, name.data(), name.size()) != static_cast<ssize_t>(name.size())) die(path);
  close(file);
}

void await(sem_t& semaphore) {
  while (sem_wait(&semaphore)) {
  }
}

}  // namespace

int main() {
  sem_init(&asked, 0, 0);
  sem_init(&renamed, 0, 0);
  start_thread([] {
    target = thread_id();
    sem_post(&renamed);
    while (true) {
      await(asked);
      prctl(PR_SET_NAME, name.c_str());
      sem_post(&renamed);
    }
  });
  await(renamed);
  fact(R"({"fact": "thread", "tid": %d})", target);
  return serve([](const std::string& line) {
    name = from_hex(line.substr(line.find(' ') + 1));
    if (line.starts_with("self ")) {
      sem_post(&asked);
      await(renamed);
    } else {
      rename_from_outside();
    }
  });
}

// leader_exit: the main thread ends while another lives on and takes the commands. Told: that other, when
// the leader is a zombie.
#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

bool leader_is_zombie() {
  char text[512];
  const int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  const ssize_t n = read(file, text, sizeof(text) - 1);
  close(file);
  text[n > 0 ? n : 0] = 0;
  const char* close_paren = strrchr(text, ')');
  return close_paren && close_paren[2] == 'Z';
}

}  // namespace

int main() {
  start_thread([] {
    while (!leader_is_zombie()) usleep(200);
    fact(R"({"fact": "survivor", "tid": %d})", thread_id());
    exit(serve([](const std::string&) {}));
  });
  pthread_exit(nullptr);
}

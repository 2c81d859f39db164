// spinner THREADS SECONDS: keeps THREADS threads busy with nothing, at most SECONDS long.
#include <atomic>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  alarm(argc > 2 ? static_cast<unsigned>(atoi(argv[2])) : 10);
  static std::atomic<int> spinning;
  for (int i = 0; i < threads; ++i)
    start_thread([] {
      ++spinning;
      fact(R"({"fact": "spinning", "tid": %d})", thread_id());
      spin();
    });
  while (spinning < threads) usleep(1000);
  return serve([](const std::string&) {});
}

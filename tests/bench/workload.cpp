#include "tests/bench/workload.h"

#include <errno.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "tests/bench/workload_protocol.h"

namespace loiter::bench {

Workload::Workload(const std::string& name, const std::string& argument)
    : name_(name), process_({std::filesystem::read_symlink("/proc/self/exe"), "workload", name, argument}) {
  char ready = 0;
  receive(&ready, sizeof(ready));
}

void Workload::ask(const void* data, size_t size) {
  process_.write_stdin(std::string(static_cast<const char*>(data), size));
}

void Workload::receive(void* data, size_t size) {
  if (!read_all(process_.stdout_fd(), data, size))
    throw std::runtime_error("the workload " + name_ + " ended: " + process_.stderr_text());
}

std::vector<Batch> Workload::run_batches(uint32_t operations, uint32_t batches) {
  const BatchRequest request{operations, batches};
  ask(&request, sizeof(request));
  std::vector<Batch> results(batches);
  receive(results.data(), results.size() * sizeof(Batch));
  return results;
}

void Workload::begin_spinning() {
  ask(&kSpin, sizeof(kSpin));
  char spinning = 0;
  receive(&spinning, sizeof(spinning));
}

uint64_t Workload::largest_gap_ns() {
  ask(&kRest, sizeof(kRest));
  uint64_t gap_ns = 0;
  receive(&gap_ns, sizeof(gap_ns));
  return gap_ns;
}

uint64_t Workload::run_storm() {
  const char go = 1;
  ask(&go, sizeof(go));
  uint64_t elapsed_ns = 0;
  receive(&elapsed_ns, sizeof(elapsed_ns));
  return elapsed_ns;
}

}  // namespace loiter::bench

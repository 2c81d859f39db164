// Reads the threads of one process at this moment, with registers and tls base, by the same program as the
// census; and their details: kernel stacks, tids in the process's own namespace; and the files that it has
// mapped.
//
// Owned and called by the inspector's thread. Opening needs CAP_BPF and CAP_PERFMON, and so does reading: it
// attaches to the process asked for. Kernels before 6.1 cannot (link_info.task.pid: f0d74c4da1f0).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/mapped_file.h"
#include "bpf/records.h"
#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/census_reader.h"

struct census_bpf;
struct details_bpf;

namespace loiter {

struct TaskDetail {
  uint32_t tid = 0;
  uint32_t ns_tid = 0;                    // 0: unknown
  std::vector<std::string> kernel_stack;  // "symbol+0x12/0x34", innermost first
};

class TaskReader {
 public:
  static Result<std::unique_ptr<TaskReader>> open();
  ~TaskReader();

  // All threads of process `pid`, leader included, by tid. Empty: there is no such process.
  Status read(uint32_t pid, Census& census);

  // By tid.
  Result<std::vector<TaskDetail>> details(uint32_t pid, loiter_kernel_stacks which);

  // What the memory of this thread has mapped as code, by address.
  Result<std::vector<loiter_mapped_file>> mapped_files(uint32_t tid);

  std::vector<LossCount> losses() const;

 private:
  TaskReader() = default;
  struct Destroy {
    void operator()(census_bpf* skeleton) const;
    void operator()(details_bpf* skeleton) const;
  };
  std::unique_ptr<census_bpf, Destroy> census_;
  std::unique_ptr<details_bpf, Destroy> details_;
};

}  // namespace loiter

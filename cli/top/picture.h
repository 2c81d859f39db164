// What one request to the daemon brought back: a picture of the host or of one process, the stack of one
// thread, where the threads of a process were made, or why there is none.
//
// Values. The pictures are immutable and shared: parsed on the feed's thread, shown on the terminal's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cli/finding_model.h"
#include "cli/model.h"
#include "cli/origin_model.h"
#include "cli/stack_model.h"
#include "daemon/base/result.h"

namespace loiter::top {

// Which processes there are (pid 0), the threads of one, or the stack of one of these.
struct Request {
  uint32_t pid = 0;
  uint32_t tid = 0;  // 0: the threads
  // Of that thread, as last seen: a thread that has run since then is another request.
  uint64_t born_boottime_ns = 0, switches = 0;
  bool findings = false;  // of the host: what is wrong, not the processes
  bool origins = false;   // of a process: where its threads were made, not the threads
  bool operator==(const Request&) const = default;
};

struct Reply {
  Request request;
  std::shared_ptr<const cli::ProcessList> list;  // for pid 0
  std::shared_ptr<const cli::Tree> tree;         // for a process
  std::optional<Error> error;
  std::shared_ptr<const cli::Stacks> stacks = nullptr;  // for a thread
  std::shared_ptr<const cli::FindingList> findings = nullptr;
  std::shared_ptr<const cli::Origins> origins = nullptr;  // for a process' origins
};

}  // namespace loiter::top

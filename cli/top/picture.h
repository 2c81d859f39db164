// What one request to the daemon brought back: a picture of the host or of one process, or why there is
// none.
//
// Values. The pictures are immutable and shared: parsed on the feed's thread, shown on the terminal's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cli/model.h"
#include "daemon/base/result.h"

namespace loiter::top {

// Which processes there are (pid 0), or the threads of one.
struct Request {
  uint32_t pid = 0;
  bool operator==(const Request&) const = default;
};

struct Reply {
  Request request;
  std::shared_ptr<const cli::ProcessList> list;  // for pid 0
  std::shared_ptr<const cli::Tree> tree;         // for any other
  std::optional<Error> error;
};

}  // namespace loiter::top

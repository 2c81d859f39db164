// Where files of /proc come from: from another process, since reading them may hang (DESIGN.md section 9), or
// in tests from nowhere.
//
// Used by the inspector's thread, which owns what implements it.
#pragma once

#include <cstddef>
#include <string>

#include "daemon/base/result.h"

namespace loiter {

class ProcFiles {
 public:
  virtual ~ProcFiles() = default;

  virtual Result<std::string> read_link(const std::string& path) = 0;

  // At most `max_bytes` of it.
  virtual Result<std::string> read_file(const std::string& path, size_t max_bytes) = 0;
};

}  // namespace loiter

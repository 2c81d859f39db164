// Reads the bytes of a configuration file, which is not trusted to be one.
//
// Pure function but for the file, any thread.
#pragma once

#include <string>

#include "daemon/base/result.h"

namespace loiter {

struct ConfigText {
  std::string text;
  bool missing = false;  // there is no such file
  std::string warning;   // what is odd about it; empty: nothing
};

// An error where it is no regular file, too large (kMostConfigBytes), or cannot be read.
Result<ConfigText> read_config_file(const std::string& path);

}  // namespace loiter

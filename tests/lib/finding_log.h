// What a daemon's log says of one finding: others may stand on the host, too.
#pragma once

#include <sstream>
#include <string>

#include "tests/lib/daemon.h"

namespace loiter::test {

// Lines that name it and hold `text`.
inline size_t count_lines(const Daemon& daemon, const std::string& text, const std::string& id) {
  std::istringstream log(daemon.log());
  size_t count = 0;
  for (std::string line; std::getline(log, line);)
    count += line.find(text) != line.npos && line.find(" " + id + ": ") != line.npos;
  return count;
}

}  // namespace loiter::test

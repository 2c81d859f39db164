// A /proc of a test's own making: what is not in it cannot be read.
#pragma once

#include <map>
#include <string>

#include "daemon/inspect/proc_files.h"

namespace loiter {

class MadeProc : public ProcFiles {
 public:
  std::map<std::string, std::string> links, files;

  Result<std::string> read_link(const std::string& path) override { return find(links, path); }
  Result<std::string> read_file(const std::string& path, size_t max_bytes) override {
    auto found = find(files, path);
    if (found) found->resize(std::min(found->size(), max_bytes));
    return found;
  }

 private:
  static Result<std::string> find(const std::map<std::string, std::string>& in, const std::string& path) {
    auto found = in.find(path);
    if (found == in.end()) return Error{Error::Kind::unavailable, path + ": not there"};
    return found->second;
  }
};

}  // namespace loiter

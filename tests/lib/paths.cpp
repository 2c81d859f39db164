#include "tests/lib/paths.h"

#include <cstdlib>
#include <filesystem>

namespace loiter::test {

std::string build_dir() {
  if (const char* given = std::getenv("LOITER_BUILD")) return given;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

std::string loiterd_path() {
  return build_dir() + "/loiterd";
}

std::string loiter_path() {
  return build_dir() + "/loiter";
}

std::string workload_path(const std::string& name) {
  return build_dir() + "/tests/workloads/" + name;
}

}  // namespace loiter::test

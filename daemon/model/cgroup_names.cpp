#include "daemon/model/cgroup_names.h"

#include <algorithm>

namespace loiter {
namespace {

constexpr size_t kIdLength = 64;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

std::string_view id_in(std::string_view part) {
  size_t run = 0;
  for (size_t i = 0; i <= part.size(); ++i) {
    if (i < part.size() && is_hex(part[i])) {
      ++run;
      continue;
    }
    if (run == kIdLength) return part.substr(i - run, run);
    run = 0;
  }
  return {};
}

// Calls `visit` with the parts of the path, innermost first, until it returns something.
template <typename Visit>
std::string_view innermost(std::string_view path, Visit visit) {
  while (!path.empty()) {
    size_t slash = path.rfind('/');
    std::string_view part = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
    if (std::string_view found = visit(part); !found.empty()) return found;
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
  return {};
}

}  // namespace

std::string_view unit_of(std::string_view cgroup) {
  return innermost(cgroup, [](std::string_view part) {
    bool unit = part.ends_with(".service") || part.ends_with(".scope");
    return unit && id_in(part).empty() ? part : std::string_view();
  });
}

std::string_view container_of(std::string_view cgroup) {
  return innermost(cgroup, id_in);
}

}  // namespace loiter

#include "daemon/sensors/limits.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "daemon/base/fd.h"
#include "daemon/sensors/procfs.h"

namespace loiter {
namespace {

constexpr size_t kMostBytes = 64 * 1024;
constexpr size_t kMostAncestors = 64;
constexpr int kCapSysAdmin = 21;  // include/uapi/linux/capability.h
constexpr int kCapSysResource = 24;

std::string read_file(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  std::string text;
  std::array<char, 4096> chunk;
  ssize_t size = 0;
  while (file && text.size() < kMostBytes && (size = read(file.get(), chunk.data(), chunk.size())) > 0)
    text.append(chunk.data(), static_cast<size_t>(size));
  return text;
}

std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// What stands behind `key` and blanks in its line, as a number.
std::optional<uint64_t> value_of(std::string_view text, std::string_view key, int base = 10) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (!line.starts_with(key)) continue;
    line = trimmed(line.substr(key.size()));
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value, base);
    if (error == std::errc()) return value;
  }
  return std::nullopt;
}

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const size_t comma = controllers.find(',');
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(comma == std::string_view::npos ? controllers.size() : comma + 1);
  }
  return false;
}

// Of a cgroup beyond the root of our namespace the path begins with "/..".
bool leads_upwards(std::string_view path) {
  return (std::string(path) + '/').find("/../") != std::string::npos || !path.starts_with('/');
}

// The cgroup itself, then those above it, but for the root, which has no limits.
std::vector<std::string> with_ancestors(std::string path) {
  std::vector<std::string> paths;
  while (path.size() > 1 && paths.size() < kMostAncestors) {
    paths.push_back(path);
    path.resize(path.rfind('/'));
  }
  return paths;
}

std::vector<PidsLimit> pids_limits(const std::string& root, const ControllerPlace& place) {
  std::vector<PidsLimit> limits;
  for (const std::string& path : with_ancestors(place.path)) {
    const std::string folder = root + place.folder + path;
    const std::optional<uint64_t> max = number_of(read_file(folder + "/pids.max"));
    const std::optional<uint64_t> current = number_of(read_file(folder + "/pids.current"));
    if (max && current) limits.push_back({path, *current, *max});
  }
  return limits;
}

std::optional<CpuThrottling> throttling(const std::string& root, const ControllerPlace& place) {
  for (const std::string& path : with_ancestors(place.path)) {
    std::optional<CpuThrottling> found = throttling_of(read_file(root + place.folder + path + "/cpu.stat"));
    if (!found || found->throttled_periods == 0) continue;
    found->cgroup = path;
    return found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ControllerPlace> place_of(std::string_view text, std::string_view controller) {
  std::optional<ControllerPlace> v2;
  bool has_v1 = false;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    has_v1 = has_v1 || !controllers.empty();
    if (leads_upwards(path)) continue;
    if (lists(controllers, controller)) return ControllerPlace{'/' + std::string(controllers), path};
    if (controllers.empty()) v2 = ControllerPlace{"", path, true};
  }
  if (v2 && has_v1) v2->folder = "/unified";
  return v2;
}

std::optional<uint64_t> number_of(std::string_view text) {
  text = trimmed(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

std::optional<uint64_t> max_processes_of(std::string_view text) {
  return value_of(text, "Max processes ");
}

bool is_bound_by_nproc(std::string_view status) {
  // Uid: real, effective, saved, of the file system. The real one is counted.
  const std::optional<uint64_t> uid = value_of(status, "Uid:");
  const std::optional<uint64_t> capabilities = value_of(status, "CapEff:", 16);
  if (!uid || !capabilities) return false;
  return *uid != 0 && !(*capabilities >> kCapSysAdmin & 1) && !(*capabilities >> kCapSysResource & 1);
}

std::optional<CpuThrottling> throttling_of(std::string_view text) {
  const std::optional<uint64_t> periods = value_of(text, "nr_periods ");
  const std::optional<uint64_t> throttled = value_of(text, "nr_throttled ");
  std::optional<uint64_t> ns = value_of(text, "throttled_time ");
  if (!ns)
    if (const std::optional<uint64_t> usec = value_of(text, "throttled_usec ")) ns = *usec * 1000;
  if (!periods || !throttled || !ns) return std::nullopt;
  return CpuThrottling{{}, *periods, *throttled, *ns};
}

// "0.20 0.18 0.12 1/80 11206": runnable and all.
std::optional<uint64_t> threads_of(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  text.remove_prefix(slash + 1);
  return number_of(text.substr(0, text.find(' ')));
}

std::optional<ProcessLimits> LimitReader::process(uint32_t pid, uint64_t start_boot_ns) const {
  const std::string folder = proc_ + '/' + std::to_string(pid);
  const std::string cgroup = read_file(folder + "/cgroup");
  ProcessLimits limits;
  if (is_bound_by_nproc(read_file(folder + "/status")))
    limits.nproc = max_processes_of(read_file(folder + "/limits"));
  // Vouches for what was read before, and for the cgroup that is read after.
  if (!Procfs(proc_).details(pid, start_boot_ns)) return std::nullopt;
  if (const auto place = place_of(cgroup, "pids")) limits.pids = pids_limits(cgroup_, *place);
  if (const auto place = place_of(cgroup, "cpu")) limits.cpu = throttling(cgroup_, *place);
  return limits;
}

HostLimits LimitReader::host() const {
  return {.threads = threads_of(read_file(proc_ + "/loadavg")),
          .threads_max = number_of(read_file(proc_ + "/sys/kernel/threads-max")),
          .pid_max = number_of(read_file(proc_ + "/sys/kernel/pid_max"))};
}

}  // namespace loiter

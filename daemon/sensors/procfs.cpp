#include "daemon/sensors/procfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "daemon/base/fd.h"

namespace loiter {
namespace {

constexpr uint64_t kPfKthread = 0x00200000;  // include/linux/sched.h

std::string read_file(int directory, const char* name) {
  Fd file(openat(directory, name, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> chunk;
  ssize_t size = 0;
  while (file && text.size() < 64 * 1024 && (size = read(file.get(), chunk.data(), chunk.size())) > 0)
    text.append(chunk.data(), static_cast<size_t>(size));
  return text;
}

std::string read_link(int directory, const char* name) {
  std::array<char, 4096> path;
  ssize_t size = readlinkat(directory, name, path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<size_t>(size)) : std::string();
}

// Field `number` (counted as in proc(5)) of /proc/PID/stat, found from behind the last ')': the name
// before it may hold blanks and brackets.
std::optional<uint64_t> stat_field(std::string_view stat, int number) {
  size_t at = stat.rfind(')');
  if (at == std::string_view::npos) return std::nullopt;
  stat.remove_prefix(at + 1);
  for (int field = 2; field < number; ++field) {
    size_t blank = stat.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    stat.remove_prefix(blank + 1);
  }
  uint64_t value = 0;
  auto [end, error] = std::from_chars(stat.data(), stat.data() + stat.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// As the kernel does it: nsec_to_clock_t of start_boottime (fs/proc/array.c).
uint64_t to_ticks(uint64_t ns) {
  static const uint64_t per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return ns / (1'000'000'000 / per_second);
}

std::optional<uint32_t> number_after(std::string_view text, std::string_view key) {
  size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + key.size());
  while (!text.empty() && (text.front() == '\t' || text.front() == ' ')) text.remove_prefix(1);
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<uint64_t> start_ticks_of(std::string_view proc_stat) {
  return stat_field(proc_stat, 22);
}

std::string cgroup_of(std::string_view text) {
  std::string v2, systemd, any;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    size_t first = line.find(':');
    size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    std::string path(line.substr(second + 1));
    if (controllers.empty()) v2 = path;
    if (controllers == "name=systemd") systemd = path;
    if (path.size() > any.size()) any = path;
  }
  if (v2.size() > 1) return v2;
  if (systemd.size() > 1) return systemd;
  return any;
}

std::optional<ProcessDetails> Procfs::details(uint32_t pid, uint64_t start_boot_ns) const {
  Fd directory(open((root_ + '/' + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::nullopt;
  ProcessDetails details{read_link(directory.get(), "exe"), cgroup_of(read_file(directory.get(), "cgroup"))};
  // Last, so that it vouches for what was read before.
  std::optional<uint64_t> ticks = start_ticks_of(read_file(directory.get(), "stat"));
  if (!ticks || *ticks != to_ticks(start_boot_ns)) return std::nullopt;
  return details;
}

Procfs::Pid Procfs::classify(uint32_t pid) const {
  Fd directory(open((root_ + '/' + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return {};
  std::string status = read_file(directory.get(), "status");
  // The name stands in the first line and may not hold a newline (it is escaped there).
  std::optional<uint32_t> tgid = number_after(status, "\nTgid:");
  if (!tgid) return {};
  std::optional<uint64_t> flags = stat_field(read_file(directory.get(), "stat"), 9);
  if (flags && (*flags & kPfKthread)) return {PidKind::kernel_thread, *tgid};
  return {*tgid == pid ? PidKind::process : PidKind::thread, *tgid};
}

}  // namespace loiter

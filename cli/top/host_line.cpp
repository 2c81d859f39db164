#include "cli/top/host_line.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::top {
namespace {

std::string rate(double per_second) {
  std::array<char, 32> buffer;
  int length = snprintf(buffer.data(), buffer.size(), per_second < 1000 ? "%.1f/s" : "%.0f/s", per_second);
  return {buffer.data(), std::min(static_cast<size_t>(length), buffer.size() - 1)};
}

}  // namespace

std::string count_of(uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string time_of_day(const std::string& rfc3339) {
  size_t t = rfc3339.find('T');
  if (t == std::string::npos || rfc3339.size() < t + 9) return escape_for_terminal(rfc3339);
  return escape_for_terminal(rfc3339.substr(t + 1, 8)) + "Z";
}

std::vector<Span> host_parts(const cli::HostLine& host) {
  std::vector<Span> parts{{escape_for_terminal(host.name), Style::strong}};
  if (host.losses_total)
    parts.push_back({"LOST " + count_of(host.losses_total, "record", "records"), Style::overdue});
  parts.push_back({count_of(host.threads, "thread", "threads") + " in " +
                   count_of(host.processes, "process", "processes")});
  parts.push_back({std::to_string(host.overdue) + " overdue", host.overdue ? Style::overdue : Style::normal});
  parts.push_back({std::to_string(host.blocked) + " blocked"});
  return parts;
}

std::vector<Span> figure_parts(const cli::HostLine& host) {
  return {{"born " + rate(host.born_per_s) + ", ended " + rate(host.ended_per_s)},
          {"census " + format_duration(host.census_ns)},
          {host.losses_total ? "loiter doctor tells what was lost" : "no losses"},
          {"overdue past " + format_duration(host.threshold_ns), Style::quiet}};
}

}  // namespace loiter::top

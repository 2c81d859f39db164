#include "cli/model.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/json_read.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::optional<Exactness> parse_exactness(const json& object) {
  if (!member(object, "exactness")) return std::nullopt;
  std::string word;
  read(object, "exactness", word);
  if (word == "exact") return Exactness::exact;
  if (word == "estimated") return Exactness::estimated;
  if (word == "lower_bound") return Exactness::lower_bound;
  return Exactness::unknown;
}

HostLine parse_host(const json& object) {
  HostLine host;
  read(object, "name", host.name);
  read(object, "processes", host.processes);
  read(object, "threads", host.threads);
  read(object, "blocked", host.blocked);
  read(object, "overdue", host.overdue);
  read(object, "born_per_s", host.born_per_s);
  read(object, "ended_per_s", host.ended_per_s);
  read(object, "census_ns", host.census_ns);
  read(object, "losses_total", host.losses_total);
  read(object, "threshold_ns", host.threshold_ns);
  return host;
}

OldestBlocked parse_oldest(const json& object) {
  OldestBlocked oldest;
  read(object, "tid", oldest.tid);
  read(object, "name", oldest.name);
  read(object, "state", oldest.state);
  read(object, "syscall", oldest.syscall);
  oldest.age = parse_age(object);
  return oldest;
}

std::optional<FindingMark> parse_mark(const json& object) {
  const json* finding = member(object, "finding");
  if (!finding) return std::nullopt;
  FindingMark mark;
  read(*finding, "id", mark.id);
  read(*finding, "kind", mark.kind);
  read(*finding, "severity", mark.severity);
  return mark;
}

ThreadRow parse_thread(const json& object, uint64_t as_of_boottime_ns) {
  ThreadRow row;
  read(object, "tid", row.tid);
  read(object, "parent_tid", row.parent_tid);
  read(object, "parent_alive", row.parent_alive);
  read(object, "name", row.name);
  read(object, "state", row.state);
  read(object, "born_boottime_ns", row.born_boottime_ns);
  read(object, "start_time", row.start_time);
  read(object, "syscall", row.syscall);
  read(object, "cpu", row.cpu);
  read(object, "cpu_ns", row.cpu_ns);
  read(object, "voluntary_switches", row.voluntary_switches);
  read(object, "involuntary_switches", row.involuntary_switches);
  read(object, "overdue", row.overdue);
  read(object, "ended", row.ended);
  read(object, "ended_boottime_ns", row.ended_boottime_ns);
  row.finding = parse_mark(object);
  row.age = parse_age(object);
  row.wait = parse_wait(object);
  row.routine = parse_routine(object);
  const uint64_t end = row.ended ? row.ended_boottime_ns : as_of_boottime_ns;
  row.lived_ns = end > row.born_boottime_ns ? end - row.born_boottime_ns : 0;
  return row;
}

// Runs `parse` and tells of a document that is not what it should be.
template <typename Parse>
auto guarded(Parse parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const std::exception& broken) {  // json::exception, std::out_of_range, std::invalid_argument
    return not_understood(broken);
  }
}

// Both ends, to the figures shown, are more than a hundredth apart.
bool differ_noticeably(uint64_t low, uint64_t high) {
  return high > low && high - low > low / 100 && format_duration(low) != format_duration(high);
}

}  // namespace

Age parse_age(const json& object) {
  Age age;
  read(object, "blocked_ns", age.blocked_ns);
  read(object, "blocked_max_ns", age.blocked_max_ns);
  age.exactness = parse_exactness(object);
  return age;
}

ProcessRow parse_process(const json& object) {
  ProcessRow row;
  read(object, "pid", row.pid);
  read(object, "parent_pid", row.parent_pid);
  read(object, "uid", row.uid);
  read(object, "comm", row.comm);
  read(object, "exe", row.exe);
  read(object, "cgroup", row.cgroup);
  read(object, "unit", row.unit);
  read(object, "container", row.container);
  read(object, "start_time", row.start_time);
  read(object, "start_boottime_ns", row.start_boottime_ns);
  read(object, "kernel", row.kernel);
  read(object, "thread_count", row.thread_count);
  read(object, "running", row.running);
  read(object, "runnable", row.runnable);
  read(object, "blocked", row.blocked);
  read(object, "overdue", row.overdue);
  read(object, "born_per_s", row.born_per_s);
  read(object, "ended_per_s", row.ended_per_s);
  read(object, "cpu_ns", row.cpu_ns);
  read(object, "cpu_percent", row.cpu_percent);
  read(object, "voluntary_switches", row.voluntary_switches);
  read(object, "involuntary_switches", row.involuntary_switches);
  read(object, "ended", row.ended);
  if (const json* oldest = member(object, "oldest_blocked")) row.oldest_blocked = parse_oldest(*oldest);
  row.finding = parse_mark(object);
  return row;
}

int severity_weight(std::string_view severity) {
  constexpr auto kSeverities = std::to_array<std::string_view>({"info", "warning", "critical"});
  return static_cast<int>(std::ranges::find(kSeverities, severity) - kSeverities.begin());
}

Error not_understood(const std::exception& why) {
  return {Error::Kind::unavailable,
          std::string(
              "the daemon's answer cannot be understood (are loiter and loiterd of the same version?): ") +
              why.what()};
}

Result<ProcessList> parse_process_list(const json& document) {
  return guarded([&] {
    ProcessList list;
    read(document, "as_of", list.as_of);
    read(document, "as_of_boottime_ns", list.as_of_boottime_ns);
    list.host = parse_host(document.at("host"));
    for (const json& process : document.at("processes")) list.processes.push_back(parse_process(process));
    return list;
  });
}

Result<Tree> parse_tree(const json& document) {
  return guarded([&] {
    Tree tree;
    read(document, "as_of", tree.as_of);
    read(document, "as_of_boottime_ns", tree.as_of_boottime_ns);
    read(document, "threshold_ns", tree.threshold_ns);
    read(document, "ended_dropped", tree.ended_dropped);
    tree.process = parse_process(document.at("process"));
    for (const json& thread : document.at("threads"))
      tree.threads.push_back(parse_thread(thread, tree.as_of_boottime_ns));
    if (const json* ended = member(document, "ended_threads"))
      for (const json& thread : *ended)
        tree.ended_threads.push_back(parse_thread(thread, tree.as_of_boottime_ns));
    return tree;
  });
}

std::string format_age(const Age& age, bool range) {
  if (!age.exactness) return "";
  if (!age.blocked_ns || age.exactness == Exactness::unknown) return "?";
  std::string text = format_duration(*age.blocked_ns);
  if (age.exactness == Exactness::exact) return text;
  if (age.exactness == Exactness::lower_bound) return ">=" + text;
  if (range && age.blocked_max_ns && differ_noticeably(*age.blocked_ns, *age.blocked_max_ns))
    return text + ".." + format_duration(*age.blocked_max_ns);
  return "~" + text;
}

}  // namespace loiter::cli

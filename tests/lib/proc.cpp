#include "tests/lib/proc.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace loiter::test {
namespace {

std::string task_path(pid_t pid, pid_t tid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/" + file;
}

std::set<pid_t> numbered_entries(const std::string& directory) {
  std::set<pid_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) numbers.insert(std::stoi(name));
  }
  return numbers;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<pid_t> threads_of(pid_t pid) {
  return numbered_entries("/proc/" + std::to_string(pid) + "/task");
}

std::set<pid_t> children_of(pid_t pid) {
  std::set<pid_t> children;
  for (pid_t candidate : numbered_entries("/proc")) {
    const auto stat = thread_stat(candidate, candidate);
    if (stat && stat->ppid == pid) children.insert(candidate);
  }
  return children;
}

std::map<pid_t, uint64_t> descendants_of(pid_t pid) {
  std::map<pid_t, std::map<pid_t, uint64_t>> children;  // by parent
  for (pid_t candidate : numbered_entries("/proc"))
    if (const auto stat = thread_stat(candidate, candidate))
      children[stat->ppid][candidate] = stat->start_ticks;
  std::map<pid_t, uint64_t> found = children[pid];
  std::vector<pid_t> open;
  for (const auto& [child, ticks] : found) open.push_back(child);
  while (!open.empty()) {
    const pid_t next = open.back();
    open.pop_back();
    for (const auto& [child, ticks] : children[next])
      if (found.emplace(child, ticks).second) open.push_back(child);
  }
  return found;
}

std::optional<ThreadStat> thread_stat(pid_t pid, pid_t tid) {
  const std::string text = read_file(task_path(pid, tid, "stat"));
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ThreadStat stat;
  stat.comm = text.substr(open + 1, close - open - 1);
  std::istringstream fields(text.substr(close + 1));
  fields >> stat.state >> stat.ppid;
  std::string skipped;
  for (int field = 5; field < 22; ++field) fields >> skipped;
  fields >> stat.start_ticks;
  return stat;
}

std::map<std::string, std::string> thread_status(pid_t pid, pid_t tid) {
  std::map<std::string, std::string> values;
  std::istringstream lines(read_file(task_path(pid, tid, "status")));
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos)
      values[line.substr(0, colon)] = line.substr(value);
  }
  return values;
}

std::optional<long> blocked_syscall(pid_t pid, pid_t tid) {
  const std::string text = read_file(task_path(pid, tid, "syscall"));
  if (text.empty() || text.starts_with("running")) return std::nullopt;
  return std::stol(text);
}

std::optional<pid_t> tid_of_namespace(pid_t pid, pid_t number) {
  std::set<pid_t> processes = children_of(pid);
  processes.insert(pid);
  for (pid_t process : processes)
    for (pid_t tid : threads_of(process)) {
      const std::string numbers = thread_status(process, tid)["NSpid"];
      if (numbers.substr(numbers.find_last_of(" \t") + 1) == std::to_string(number)) return tid;
    }
  return std::nullopt;
}

std::optional<uint64_t> thread_cpu_ns(pid_t pid, pid_t tid) {
  const std::string text = read_file(task_path(pid, tid, "schedstat"));
  if (text.empty()) return std::nullopt;
  return std::stoull(text);
}

std::string exe_of(pid_t pid) {
  std::error_code gone;
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", gone);
}

size_t open_file_count(pid_t pid) {
  return numbered_entries("/proc/" + std::to_string(pid) + "/fd").size();
}

bool process_exists(pid_t pid) {
  return kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace loiter::test

#include "tests/lib/workload.h"

#include <poll.h>

#include <stdexcept>

#include "daemon/base/clock.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

std::vector<std::string> command_line(const std::string& name, const std::vector<std::string>& args) {
  std::vector<std::string> argv{workload_path(name)};
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

// --kill-child: the program, as pid 1 of its namespace, takes all others there with it.
std::vector<std::string> in_container(const std::vector<std::string>& command) {
  std::vector<std::string> argv{"/usr/bin/unshare", "--mount",      "--pid",       "--net",
                                "--fork",           "--mount-proc", "--kill-child"};
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

// $1: where the programs are, which may be a mount of its own.
constexpr const char* kInOverlay =
    "set -e; cd /mnt; mount -t tmpfs tmpfs /mnt; cd /mnt; mkdir upper work root;"
    "mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root;"
    "mkdir -p \"root$1\"; mount --bind \"$1\" \"root$1\"; mount --rbind /proc root/proc;"
    "shift; exec chroot root \"$@\"";

std::vector<std::string> in_overlay(const std::vector<std::string>& command) {
  std::vector<std::string> argv{"/bin/sh", "-c", kInOverlay, "sh", build_dir()};
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

}  // namespace

Workload::Workload(const std::string& name, const std::vector<std::string>& args, const SpawnOptions& options)
    : name_(name),
      process_(command_line(name, args), options),
      facts_(read_until("ready")),
      pid_(process_.pid()) {}

Workload::Workload(InContainer, const std::string& name, const std::vector<std::string>& args)
    : name_(name),
      process_(in_container(command_line(name, args)), {}),
      facts_(read_until("ready")),
      pid_(*children_of(process_.pid()).begin()) {}

Workload::Workload(InOverlay, const std::string& name, const std::vector<std::string>& args)
    : name_(name),
      process_(in_container(in_overlay(command_line(name, args))), {}),
      facts_(read_until("ready")),
      pid_(*children_of(process_.pid()).begin()) {}

std::string Workload::read_line() {
  size_t end;
  while ((end = received_.find('\n')) == std::string::npos) {
    pollfd poll_for{process_.stdout_fd(), POLLIN, 0};
    char buffer[65536];
    const bool ready = poll(&poll_for, 1, static_cast<int>(kPatience.count())) == 1;
    const ssize_t n = ready ? read(process_.stdout_fd(), buffer, sizeof(buffer)) : 0;
    if (n <= 0)
      throw std::runtime_error("workload " + name_ + (ready ? " ended" : " says nothing") +
                               "; stderr: " + process_.stderr_text());
    received_.append(buffer, static_cast<size_t>(n));
  }
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

std::vector<nlohmann::json> Workload::read_until(const std::string& last) {
  std::vector<nlohmann::json> facts;
  while (true) {
    facts.push_back(nlohmann::json::parse(read_line()));
    if (facts.back().at("fact") == last) {
      facts.pop_back();
      return facts;
    }
  }
}

std::vector<nlohmann::json> Workload::command(const std::string& line) {
  send(line);
  return read_until("done");
}

::testing::AssertionResult Workload::await_age(int64_t ns) const {
  const int64_t end = facts_.back().at("after").get<int64_t>() + ns;
  return await("what " + name_ + " did is old enough",
               [&] { return static_cast<int64_t>(boottime_now_ns()) >= end; });
}

std::vector<nlohmann::json> Workload::of_kind(const std::vector<nlohmann::json>& facts,
                                              const std::string& kind) {
  std::vector<nlohmann::json> found;
  for (const auto& fact : facts)
    if (fact.at("fact") == kind) found.push_back(fact);
  return found;
}

nlohmann::json Workload::the(const std::vector<nlohmann::json>& facts, const std::string& kind) {
  const auto found = of_kind(facts, kind);
  if (found.size() != 1)
    throw std::runtime_error("expected one fact '" + kind + "', got " + std::to_string(found.size()));
  return found.front();
}

PerfMapRemover::~PerfMapRemover() {
  unlink(path_.c_str());
}

}  // namespace loiter::test

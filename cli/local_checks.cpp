#include "cli/local_checks.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

namespace loiter::cli {
namespace {

using State = CheckState;

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// The value of "Key:\tvalue" in a file of such lines.
std::optional<std::string> field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) {
      const size_t value = line.find_first_not_of(" \t", key.size() + 1);
      return value == line.npos ? "" : line.substr(value);
    }
  return std::nullopt;
}

// include/uapi/linux/capability.h
struct Capability {
  unsigned number;
  const char* name;
};
constexpr unsigned kSysPtrace = 19;
constexpr std::array<Capability, 2> kVital{{{39, "CAP_BPF"}, {38, "CAP_PERFMON"}}};

bool holds(uint64_t set, unsigned capability) {
  return (set >> capability & 1) != 0;
}

uint64_t effective_capabilities(const std::string& root) {
  const std::string mask = field(root + "/proc/self/status", "CapEff").value_or("0");
  return strtoull(mask.c_str(), nullptr, 16);
}

Check privileges(const std::string& root) {
  const uint64_t held = effective_capabilities(root);
  std::string missing;
  for (const Capability& capability : kVital)
    if (!holds(held, capability.number))
      missing += (missing.empty() ? "" : " and ") + std::string(capability.name);
  if (!missing.empty()) return {"privileges", State::missing, missing + " not held: run it as root (sudo)"};
  if (!holds(held, kSysPtrace))
    return {"privileges", State::degraded,
            "CAP_SYS_PTRACE not held: paths of other users' programs stay unknown"};
  return {"privileges", State::ok, "CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE are held"};
}

Check kernel(const std::string& root) {
  const std::string release = first_line(root + "/proc/sys/kernel/osrelease").value_or("");
  int major = 0, minor = 0;
  char dot = 0;
  std::istringstream(release) >> major >> dot >> minor;
  // Task iterators came with 5.8, bpf_task_pt_regs with 5.15; tested from 6.1 on.
  const int version = major * 1000 + minor;
  if (version < 5015)
    return {"kernel", State::missing,
            "Linux " + release + " is too old: 5.15 or later is needed, 6.1 is tested"};
  if (version < 6001)
    return {"kernel", State::degraded, "Linux " + release + ": loiter is tested from 6.1 on"};
  return {"kernel", State::ok, "Linux " + release};
}

Check btf(const std::string& root) {
  if (access((root + "/sys/kernel/btf/vmlinux").c_str(), R_OK) == 0)
    return {"btf", State::ok, "/sys/kernel/btf/vmlinux is there"};
  return {
      "btf", State::missing,
      "/sys/kernel/btf/vmlinux is missing: mount /sys, or take a kernel built with CONFIG_DEBUG_INFO_BTF"};
}

Check pid_namespace(const std::string& root) {
  // include/linux/proc_ns.h: PROC_PID_INIT_INO, 0xEFFFFFFC
  std::array<char, 64> link{};
  const ssize_t length = readlink((root + "/proc/self/ns/pid").c_str(), link.data(), link.size() - 1);
  if (length < 0)
    return {"pid_namespace", State::degraded, "/proc/self/ns/pid cannot be read: is /proc mounted?"};
  if (std::string_view(link.data()) == "pid:[4026531836]")
    return {"pid_namespace", State::ok, "the host's own"};
  return {"pid_namespace", State::missing,
          "this is a container's " + std::string(link.data()) + ": run it on the host, or with --pid=host"};
}

Check lockdown(const std::string& root) {
  const std::string modes = first_line(root + "/sys/kernel/security/lockdown").value_or("[none]");
  if (modes.find("[confidentiality]") != modes.npos)
    return {
        "lockdown", State::missing,
        "mode confidentiality lets no BPF program read kernel memory: boot with lockdown=integrity or none"};
  return {"lockdown", State::ok, modes};
}

Check ptrace_scope(const std::string& root) {
  const std::string scope = first_line(root + "/proc/sys/kernel/yama/ptrace_scope").value_or("none");
  if (scope == "3")
    return {"ptrace_scope", State::degraded,
            "kernel.yama.ptrace_scope=3 refuses even root the memory of processes; only a reboot lowers it"};
  return {"ptrace_scope", State::ok, "kernel.yama.ptrace_scope is " + scope};
}

Check unprivileged_bpf(const std::string& root) {
  const auto value = first_line(root + "/proc/sys/kernel/unprivileged_bpf_disabled");
  if (!value)
    return {"bpf", State::missing,
            "kernel.unprivileged_bpf_disabled is not there: a kernel without CONFIG_BPF_SYSCALL"};
  return {"bpf", State::ok,
          "kernel.unprivileged_bpf_disabled is " + *value + ": of no matter, loiterd uses CAP_BPF"};
}

Check hidepid(const std::string& root) {
  std::ifstream mounts(root + "/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, point, type, options;
    words >> device >> point >> type >> options;
    const size_t at = ("," + options).find(",hidepid=");
    if (type != "proc" || point != "/proc" || at == options.npos) continue;
    const std::string value = options.substr(at + 8, options.find(',', at) - at - 8);
    const bool hides = value != "0" && value != "off";
    if (hides && !holds(effective_capabilities(root), kSysPtrace))
      return {"hidepid", State::degraded,
              "/proc is mounted with hidepid=" + value + ": run it as root (sudo)"};
    return {"hidepid", State::ok, "hidepid=" + value + ", which does not bind us"};
  }
  return {"hidepid", State::ok, "/proc hides nothing"};
}

}  // namespace

const char* to_string(CheckState state) {
  switch (state) {
    case CheckState::ok:
      return "ok";
    case CheckState::degraded:
      return "degraded";
    case CheckState::missing:
      return "missing";
  }
  return "missing";
}

std::vector<Check> local_checks(const std::string& root) {
  return {privileges(root),   kernel(root),           btf(root),    pid_namespace(root), lockdown(root),
          ptrace_scope(root), unprivileged_bpf(root), hidepid(root)};
}

}  // namespace loiter::cli

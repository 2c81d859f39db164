#include "daemon/privileges.h"

#include <cap-ng.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace loiter {
namespace {

struct Needed {
  unsigned capability;
  const char* name;
  bool vital;
  const char* reason;
};

// linux/capability.h of older headers lacks the younger two.
constexpr unsigned kCapPerfmon = 38;
constexpr unsigned kCapBpf = 39;
constexpr unsigned kCapCheckpointRestore = 40;

constexpr std::array<Needed, 6> kNeeded{{
    {kCapBpf, "CAP_BPF", true, "load the census and event programs and their maps"},
    {kCapPerfmon, "CAP_PERFMON", true,
     "let those programs read the state of tasks, and attach them to tracepoints"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false,
     "read the executable paths and, when asked, the memory of other users' processes; without it they are "
     "unknown"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false,
     "read other users' programs and descriptors for stacks and waits; without it some have no names"},
    {kCapCheckpointRestore, "CAP_CHECKPOINT_RESTORE", false,
     "open files as they are mapped (/proc/PID/map_files); without it a deleted or replaced one is not read"},
    {CAP_SYS_CHROOT, "CAP_SYS_CHROOT", false,
     "lock the parser of foreign files in; without it there are no stacks"},
}};

void forbid_dumps() {
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

}  // namespace

Result<std::vector<DaemonFacts::Capability>> reduce_privileges() {
  if (capng_get_caps_process())
    return Error{Error::Kind::internal, "cannot read this process's capabilities"};
  bool can_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
  std::vector<DaemonFacts::Capability> capabilities;
  std::string missing;
  for (const Needed& needed : kNeeded) {
    bool held = capng_have_capability(CAPNG_PERMITTED, needed.capability);
    capabilities.push_back({needed.name, held, needed.reason});
    if (!held && needed.vital) missing += (missing.empty() ? "" : " and ") + std::string(needed.name);
  }
  if (!missing.empty())
    return Error{
        Error::Kind::unavailable,
        "no privilege: " + missing + " missing; run it as root (sudo), or give it these capabilities"};

  capng_clear(CAPNG_SELECT_BOTH);
  for (size_t i = 0; i < kNeeded.size(); ++i)
    if (capabilities[i].held)
      capng_update(CAPNG_ADD,
                   static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
                   kNeeded[i].capability);
  if (!can_bound) spdlog::warn("CAP_SETPCAP missing: the capability bounding set stays as it is");
  if (capng_apply(can_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS))
    return Error{Error::Kind::internal, std::string("cannot give up capabilities: ") + std::strerror(errno)};
  forbid_dumps();
  return capabilities;
}

}  // namespace loiter

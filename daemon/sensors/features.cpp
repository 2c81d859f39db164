#include "daemon/sensors/features.h"

#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace loiter {
namespace {

// include/linux/proc_ns.h: PROC_PID_INIT_INO, the inode of the first pid namespace.
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;

std::string first_word(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

Feature ptrace_scope() {
  std::string scope = first_word("/proc/sys/kernel/yama/ptrace_scope");
  if (scope == "3")
    return {"foreign_memory", "degraded",
            "kernel.yama.ptrace_scope=3 refuses even root to read the memory of processes"};
  return {"foreign_memory", "ok", "memory of processes can be read without stopping them"};
}

// linux/capability.h of older headers lacks it.
constexpr unsigned kCapCheckpointRestore = 40;

bool holds(unsigned capability) {
  return capng_have_capability(CAPNG_EFFECTIVE, capability) != 0;
}

Feature probed(const char* name, bool there, const char* with, const char* without) {
  return {name, there ? "ok" : "degraded", there ? with : without};
}

}  // namespace

std::string obstacle() {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return "no BTF: /sys/kernel/btf/vmlinux is missing; loiter needs a kernel built with "
           "CONFIG_DEBUG_INFO_BTF, "
           "as Debian's are since 11, and a mounted /sys";
  struct stat ns {};
  if (stat("/proc/self/ns/pid", &ns) == 0 && ns.st_ino != kInitialPidNamespace)
    return "this is a pid namespace of its own: run loiterd in the host's (a container needs --pid=host)";
  return {};
}

std::vector<Feature> probe_features(const Probed& hooks) {
  capng_get_caps_process();
  bool task_storage = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, nullptr) == 1;
  bool uprobe_programs = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_KPROBE, nullptr) == 1;
  return {
      {"btf", "ok", "the kernel's types are known: one build for all kernels"},
      {"task_iterator", "ok", "a census sees every thread of the host, with its registers"},
      {"ring_buffer", "ok", "births, execs, ends and renames come as events"},
      probed("tp_btf", hooks.uses_btf, "events by typed tracepoints",
             "events by raw tracepoints: the same, a little slower"),
      probed("wait_clock", hooks.dates_waits, "waits that began before loiter did are dated",
             "this kernel has no CONFIG_FAIR_GROUP_SCHED: blocked times count from when loiter looked first"),
      probed("creation_sites", hooks.takes_slices && holds(CAP_SYS_CHROOT),
             "where threads are made is told by the creator's stack, for those born from now on",
             "this kernel refused to take creators' stacks, or CAP_SYS_CHROOT is missing: where threads are "
             "made is "
             "not told"),
      probed("task_storage", task_storage, "wait tracing keeps its state with the thread",
             "wait tracing needs a hash map"),
      probed("uprobes", uprobe_programs, "the kernel takes programs for uprobes", "no pthread events"),
      probed("executable_paths", holds(CAP_SYS_PTRACE), "the executable of every process is known",
             "without CAP_SYS_PTRACE executables of other users' processes are unknown"),
      ptrace_scope(),
      probed("stacks", holds(CAP_SYS_CHROOT), "stacks are unwound and named by a child without privileges",
             "without CAP_SYS_CHROOT that child cannot be locked in: no stacks, no owners of locks"),
      probed("mapped_files", holds(kCapCheckpointRestore), "programs are read as they are mapped",
             "without CAP_CHECKPOINT_RESTORE programs that were deleted or replaced have no names in stacks"),
      probed("foreign_files", holds(CAP_DAC_READ_SEARCH), "programs and descriptors of all users are read",
             "without CAP_DAC_READ_SEARCH those of other users are unknown where they are not public"),
  };
}

}  // namespace loiter

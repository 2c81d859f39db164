#include "daemon/inspect/parser/sandbox.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace loiter {
namespace {

Error sandbox_error(const char* what) {
  return Error{Error::Kind::internal, std::string("sandbox: ") + what + ": " + std::strerror(errno)};
}

// Never above what the process may have already: that would take CAP_SYS_RESOURCE.
bool limit(int resource, uint64_t value) {
  auto which = static_cast<__rlimit_resource>(resource);
  rlimit both{};
  if (getrlimit(which, &both)) return false;
  both.rlim_cur = both.rlim_max = std::min<rlim_t>(value, both.rlim_max);
  return setrlimit(which, &both) == 0;
}

// What glibc, elfutils and BCC's symbol reader call. Reading alone: open is checked by its flags. Anything
// else fails, and does not kill: a library that asks for what it can do without goes on.
Status filter_system_calls() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (!filter) return Error{Error::Kind::internal, "sandbox: seccomp_init failed"};
  const std::array allowed{
      SCMP_SYS(read),         SCMP_SYS(pread64),        SCMP_SYS(readv),      SCMP_SYS(close),
      SCMP_SYS(fstat),        SCMP_SYS(newfstatat),     SCMP_SYS(lseek),      SCMP_SYS(mmap),
      SCMP_SYS(munmap),       SCMP_SYS(mremap),         SCMP_SYS(brk),        SCMP_SYS(madvise),
      SCMP_SYS(mprotect),     SCMP_SYS(recvmsg),        SCMP_SYS(sendmsg),    SCMP_SYS(poll),
      SCMP_SYS(ppoll),        SCMP_SYS(exit),           SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
      SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(futex),      SCMP_SYS(clock_gettime),
      SCMP_SYS(getrandom),    SCMP_SYS(getpid),         SCMP_SYS(gettid),     SCMP_SYS(write),
      SCMP_SYS(writev),       SCMP_SYS(sysinfo),        SCMP_SYS(fcntl),      SCMP_SYS(restart_syscall),
      SCMP_SYS(readlinkat)};
  int error = 0;
  for (int call : allowed) error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  constexpr scmp_datum_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
  error |=
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, kWriting, 0));
#ifdef __x86_64__
  error |=
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, kWriting, 0));
  error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(stat), 0);
  error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(readlink), 0);
#endif
  if (!error) error = seccomp_load(filter);
  seccomp_release(filter);
  if (error) return Error{Error::Kind::internal, "sandbox: the system call filter was refused"};
  return ok();
}

}  // namespace

Status enter_sandbox(const SandboxLimits& limits) {
  if (!limit(RLIMIT_DATA, limits.heap_bytes) || !limit(RLIMIT_AS, limits.address_space_bytes) ||
      !limit(RLIMIT_NOFILE, limits.open_files) || !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) ||
      !limit(RLIMIT_NPROC, 0))
    return sandbox_error("setrlimit");
  // Its own descriptors are all the files there are from here on.
  if (chdir("/proc/self/fd") || chroot(".")) return sandbox_error("cannot change the root directory");
  capng_clear(CAPNG_SELECT_ALL);
  if (capng_apply(CAPNG_SELECT_CAPS)) return sandbox_error("cannot give up capabilities");
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return sandbox_error("prctl");
  return filter_system_calls();
}

}  // namespace loiter

#include "cli/check/exit_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "daemon/base/fd.h"

namespace loiter::cli {
namespace {

Error cannot(const char* what, int error) {
  return {Error::Kind::internal, std::string("cannot ") + what + ": " + strerror(error)};
}

// Programs of the other ABIs that this kernel runs call exit_group by another number.
int add_other_abis(scmp_filter_ctx filter) {
#if defined(__x86_64__)
  for (const uint32_t abi : {SCMP_ARCH_X86, SCMP_ARCH_X32})
#elif defined(__aarch64__)
  for (const uint32_t abi : {SCMP_ARCH_ARM})
#endif
    if (const int error = seccomp_arch_add(filter, abi); error && error != -EEXIST) return error;
  return 0;
}

Result<std::vector<sock_filter>> exported(scmp_filter_ctx filter) {
  const Fd file(memfd_create("exit filter", MFD_CLOEXEC));
  if (!file) return cannot("make a memory file", errno);
  if (const int error = seccomp_export_bpf(filter, file.get()))
    return cannot("make a seccomp filter", -error);
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size <= 0 || size % static_cast<off_t>(sizeof(sock_filter)) != 0)
    return cannot("make a seccomp filter", EINVAL);
  std::vector<sock_filter> program(static_cast<size_t>(size) / sizeof(sock_filter));
  if (pread(file.get(), program.data(), static_cast<size_t>(size), 0) != size)
    return cannot("make a seccomp filter", EIO);
  return program;
}

}  // namespace

Result<ExitFilter> ExitFilter::make() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                seccomp_release);
  if (!filter) return cannot("make a seccomp filter", ENOMEM);
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
  if (!error) error = add_other_abis(filter.get());
  if (!error) error = seccomp_rule_add(filter.get(), SCMP_ACT_NOTIFY, SCMP_SYS(exit_group), 0);
  if (error) return cannot("make a seccomp filter", -error);
  auto program = exported(filter.get());
  if (!program) return program.error();
  ExitFilter made;
  made.program_ = std::move(*program);
  return made;
}

int ExitFilter::install() const {
  // By the system call itself: libseccomp 2.5 does not know the flag WAIT_KILLABLE_RECV. Without it a signal
  // with a handler would break the wait with EINTR, and glibc's _exit() goes on to an illegal instruction.
  // SPEC_ALLOW: a filter must not slow the program by mitigations that it did not ask for.
  sock_fprog program{static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
  const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
                              SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                          &program);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

Error ExitFilter::explain(int error) {
  switch (error) {
    case EACCES:
      return {Error::Kind::unavailable,
              "loiter check needs CAP_SYS_ADMIN to see how its command ends: use sudo"};
    case EBUSY:
      return {
          Error::Kind::unavailable,
          "a seccomp listener is there already (loiter check inside loiter check?), and the kernel allows "
          "just one"};
    case EINVAL:
    case ENOSYS:
      return {
          Error::Kind::unavailable,
          "this kernel cannot hold a program at its end (seccomp notifications of Linux 5.19 are needed)"};
    default:
      return cannot("install a seccomp filter", error);
  }
}

}  // namespace loiter::cli

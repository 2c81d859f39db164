#include "daemon/model/syscalls.h"

#include <seccomp.h>

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "daemon/inspect/syscall_table.h"

namespace loiter {
namespace {

// Younger than libseccomp 2.5.4's tables. From 424 on the numbers are the same on every architecture
// (include/uapi/asm-generic/unistd.h of Linux 6.18).
constexpr std::array<std::pair<int, std::string_view>, 19> kYounger{{
    {451, "cachestat"},         {452, "fchmodat2"},         {453, "map_shadow_stack"}, {454, "futex_wake"},
    {455, "futex_wait"},        {456, "futex_requeue"},     {457, "statmount"},        {458, "listmount"},
    {459, "lsm_get_self_attr"}, {460, "lsm_set_self_attr"}, {461, "lsm_list_modules"}, {462, "mseal"},
    {463, "setxattrat"},        {464, "getxattrat"},        {465, "listxattrat"},      {466, "removexattrat"},
    {467, "open_tree_attr"},    {468, "file_getattr"},      {469, "file_setattr"},
}};

uint32_t architecture(bool compat) {
#if defined(__x86_64__)
  return compat ? SCMP_ARCH_X86 : SCMP_ARCH_X86_64;
#elif defined(__aarch64__)
  return compat ? SCMP_ARCH_ARM : SCMP_ARCH_AARCH64;
#else
#error "loiter knows x86-64 and arm64"
#endif
}

std::string look_up(int64_t number, bool compat) {
  if (char* name = seccomp_syscall_resolve_num_arch(architecture(compat), static_cast<int>(number))) {
    std::string copy(name);
    free(name);
    return copy;
  }
  for (const auto& [known, name] : kYounger)
    if (known == number) return std::string(name);
  return "syscall_" + std::to_string(number);
}

}  // namespace

const std::string& syscall_name(int64_t number, bool compat) {
  static std::mutex mutex;
  static std::map<std::pair<int64_t, bool>, std::string> names;
  static const std::string other = "syscall_other";
  std::lock_guard lock(mutex);
  auto found = names.find({number, compat});
  if (found != names.end()) return found->second;
  // A program may ask for any number; those that stick in the kernel are few.
  if (names.size() >= 4096) return other;
  return names.emplace(std::pair(number, compat), look_up(number, compat)).first->second;
}

bool is_poll_call(int64_t number, bool compat) {
  switch (blocking_call(number, compat).call) {
    case BlockingCall::accept:
    case BlockingCall::poll:
    case BlockingCall::ppoll:
    case BlockingCall::select:
    case BlockingCall::old_select:
    case BlockingCall::pselect:
    case BlockingCall::epoll_wait:
    case BlockingCall::epoll_pwait2:
      return true;
    default:
      return false;
  }
}

}  // namespace loiter

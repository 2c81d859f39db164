#include "daemon/inspect/syscall_table.h"

#include <seccomp.h>

#include <array>
#include <string_view>

namespace loiter {
namespace {

using enum BlockingCall;

struct Named {
  const char* name;
  BlockingCall call;
};

constexpr Named kNamed[] = {
    {"futex", futex},
    {"futex_time64", futex},
    {"nanosleep", nanosleep},
    {"clock_nanosleep", clock_nanosleep},
    {"clock_nanosleep_time64", clock_nanosleep},
    {"poll", poll},
    {"ppoll", ppoll},
    {"ppoll_time64", ppoll},
    {"_newselect", select},
    {"pselect6", pselect},
    {"pselect6_time64", pselect},
    {"epoll_wait", epoll_wait},
    {"epoll_pwait", epoll_wait},
    {"read", read},
    {"readv", read},
    {"pread64", read},
    {"preadv", read},
    {"preadv2", read},
    {"recv", receive},
    {"recvfrom", receive},
    {"recvmsg", receive},
    {"recvmmsg", receive},
    {"recvmmsg_time64", receive},
    {"write", write},
    {"writev", write},
    {"pwrite64", write},
    {"pwritev", write},
    {"pwritev2", write},
    {"send", send},
    {"sendto", send},
    {"sendmsg", send},
    {"sendmmsg", send},
    {"sendfile", sendfile},
    {"sendfile64", sendfile},
    {"accept", accept},
    {"accept4", accept},
    {"connect", connect},
    {"wait4", wait4},
    {"waitpid", wait4},
    {"waitid", waitid},
    {"rt_sigtimedwait", sigtimedwait},
    {"rt_sigtimedwait_time64", sigtimedwait},
    {"rt_sigsuspend", sigsuspend},
    {"sigsuspend", sigsuspend},
    {"pause", sigsuspend},
    {"flock", flock},
    {"fcntl", fcntl},
    {"fcntl64", fcntl},
    {"msgrcv", ipc_wait},
    {"msgsnd", ipc_wait},
    {"semop", ipc_wait},
    {"semtimedop", semtimedop},
    {"semtimedop_time64", semtimedop},
    {"mq_timedsend", mq_timed},
    {"mq_timedreceive", mq_timed},
    {"mq_timedsend_time64", mq_timed},
    {"mq_timedreceive_time64", mq_timed},
    {"ipc", ipc},
    {"socketcall", socketcall},
    {"io_getevents", io_getevents},
    {"io_pgetevents", io_getevents},
    {"io_pgetevents_time64", io_getevents},
    {"vfork", vfork},
    {"clone", clone},
    {"fsync", sync_fd},
    {"fdatasync", sync_fd},
    {"syncfs", sync_fd},
    {"sync_file_range", sync_fd},
    {"sync_file_range2", sync_fd},
    {"arm_sync_file_range", sync_fd},
    {"sync", sync},
    {"msync", sync},
    {"restart_syscall", restart},
    {"ioctl", with_fd},
    {"close", with_fd},
    {"ftruncate", with_fd},
    {"fallocate", with_fd},
    {"fstat", with_fd},
    {"getdents", with_fd},
    {"getdents64", with_fd},
    {"readahead", with_fd},
    {"vmsplice", with_fd},
    {"shutdown", with_fd},
    {"lseek", with_fd},
    {"fchdir", with_fd},
    {"fchmod", with_fd},
    {"fchown", with_fd},
};

struct Numbered {
  int number;
  BlockingCall call;
};

// The same on every architecture, from 424 on (include/uapi/asm-generic/unistd.h); not all of them are in
// libseccomp 2.5.4.
constexpr Numbered kEverywhere[] = {
    {426, io_uring_enter}, {435, clone3}, {441, epoll_pwait2}, {449, futex_waitv}, {455, futex_wait},
};

#if defined(__x86_64__)
// i386 (arch/x86/entry/syscalls/syscall_32.tbl): libseccomp gives numbers below zero to what can also be
// called by way of ipc or socketcall, and for `select` the one of _newselect's forerunner.
constexpr Numbered kCompat[] = {
    {82, old_select}, {337, receive}, {345, send},    {362, connect}, {364, accept},   {369, send},
    {370, send},      {371, receive}, {372, receive}, {373, with_fd}, {400, ipc_wait}, {401, ipc_wait},
};
constexpr Numbered kNative[] = {{23, select}};
constexpr uint32_t kNativeArch = SCMP_ARCH_X86_64;
constexpr uint32_t kCompatArch = SCMP_ARCH_X86;
#elif defined(__aarch64__)
constexpr std::array<Numbered, 0> kCompat{};
constexpr std::array<Numbered, 0> kNative{};
constexpr uint32_t kNativeArch = SCMP_ARCH_AARCH64;
constexpr uint32_t kCompatArch = SCMP_ARCH_ARM;
#else
#error "loiter knows x86-64 and arm64"
#endif

using Table = std::array<SyscallEntry, 512>;

template <typename Numbers>
void add_numbers(Table& table, const Numbers& numbers, bool narrow) {
  for (const Numbered& entry : numbers) table[static_cast<size_t>(entry.number)] = {entry.call, narrow};
}

Table make_table(uint32_t architecture, bool compat) {
  Table table{};
  for (const auto& [name, call] : kNamed) {
    int number = seccomp_syscall_resolve_name_arch(architecture, name);
    if (number < 0 || static_cast<size_t>(number) >= table.size()) continue;  // not on this architecture
    table[static_cast<size_t>(number)] = {call, compat && !std::string_view(name).ends_with("_time64")};
  }
  if (compat)
    add_numbers(table, kCompat, true);
  else
    add_numbers(table, kNative, false);
  add_numbers(table, kEverywhere, false);  // made when 64-bit times were already the rule
  return table;
}

}  // namespace

SyscallEntry blocking_call(int64_t number, bool compat) {
  static const Table native = make_table(kNativeArch, false);
  static const Table narrow = make_table(kCompatArch, true);
  if (number < 0 || number >= static_cast<int64_t>(native.size())) return {};
  return (compat ? narrow : native)[static_cast<size_t>(number)];
}

}  // namespace loiter

// What a blocked thread is blocked in, as the daemon tells it: the member `wait` of a thread
// (daemon/serve/API.md). All strings are foreign; a view escapes them.
//
// Values, any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace loiter::cli {

// A process at the other end of a pipe or local socket.
struct WaitPeer {
  std::optional<uint32_t> pid, tid;
  std::string comm;
};

struct Wait {
  std::string kind;                    // "lock", "read", …; empty: not known
  std::optional<std::string> syscall;  // that it is in
  std::optional<std::string> object;   // "0x7f12a0", "pipe:[123]"; nothing where there is none
  std::optional<std::string> detail;   // "pthread_mutex_t, normal"
  std::optional<uint32_t> holder_tid, holder_pid;
  std::optional<std::string> holder_name;
  std::optional<std::string> holder_state;  // "alive", "ended", "inherited", "none", "unknown"
  std::optional<uint64_t> timeout_ns, timeout_left_ns;
  std::optional<bool> bounded;  // it has a timeout; nothing: not known
  std::optional<int64_t> fd;
  std::vector<WaitPeer> peers;
};

// The member `wait` of `thread`; nothing where it is null or missing. Throws a std::exception on a member of
// another type.
std::optional<Wait> parse_wait(const nlohmann::json& thread);

// Whether such a wait may last for ever and nothing is wrong (DESIGN.md section 4, "Idle is not stuck").
enum class WaitClass : uint8_t {
  must_end,  // a lock, a disk, a write: somebody has to let it go on
  idle,      // poll, accept, sleep, a condition: for something to do
  unclear,   // the kind is not known, or says neither
};
WaitClass wait_class(const Wait& wait);

}  // namespace loiter::cli

#include "cli/wait.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/json_read.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr size_t kMostPeers = 64;  // a view names a few of them

constexpr auto kMustEnd = std::to_array<std::string_view>(
    {"lock", "barrier", "disk", "write", "connect", "file_lock", "vfork", "page_fault"});
constexpr auto kIdle =
    std::to_array<std::string_view>({"condvar", "join", "semaphore", "sleep", "poll", "accept", "read",
                                     "wait_child", "signal", "ipc", "stopped", "frozen", "io_uring"});

WaitPeer parse_peer(const json& object) {
  WaitPeer peer;
  read(object, "pid", peer.pid);
  read(object, "tid", peer.tid);
  read(object, "comm", peer.comm);
  return peer;
}

}  // namespace

std::optional<Wait> parse_wait(const json& thread) {
  const json* object = member(thread, "wait");
  if (!object) return std::nullopt;
  Wait wait;
  read(*object, "kind", wait.kind);
  read(*object, "syscall", wait.syscall);
  read(*object, "object", wait.object);
  read(*object, "detail", wait.detail);
  read(*object, "holder_tid", wait.holder_tid);
  read(*object, "holder_pid", wait.holder_pid);
  read(*object, "holder_name", wait.holder_name);
  read(*object, "holder_state", wait.holder_state);
  read(*object, "timeout_ns", wait.timeout_ns);
  read(*object, "timeout_left_ns", wait.timeout_left_ns);
  read(*object, "bounded", wait.bounded);
  read(*object, "fd", wait.fd);
  if (const json* peers = member(*object, "peers"))
    for (const json& peer : *peers)
      if (wait.peers.size() < kMostPeers) wait.peers.push_back(parse_peer(peer));
  return wait;
}

WaitClass wait_class(const Wait& wait) {
  if (std::ranges::find(kMustEnd, wait.kind) != kMustEnd.end()) return WaitClass::must_end;
  if (std::ranges::find(kIdle, wait.kind) != kIdle.end()) return WaitClass::idle;
  return WaitClass::unclear;
}

}  // namespace loiter::cli

// What a descriptor of a process is, in one line for people: from its record, /proc/PID/fd and
// /proc/PID/fdinfo.
//
// Pure but for what it reads by way of its caller's ProcFiles; the inspector's thread. Paths are bytes, as
// the target's mount namespace has them. What stands in /proc is of a process that is not trusted and may be
// another file by now: where link and record do not agree on what it is, the record is believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/inspect/proc_files.h"
#include "daemon/inspect/wait_call.h"
#include "daemon/sensors/file_reader.h"

namespace loiter {

struct TimerFd {
  int32_t clock = 0;
  uint64_t ticks = 0;        // expiries nobody has read yet
  uint64_t left_ns = 0;      // to the next expiry; 0: not armed, or overdue
  uint64_t interval_ns = 0;  // 0: once
};

struct Descriptor {
  std::string text;  // "pipe:[123]", "tcp 127.0.0.1:80 -> 127.0.0.1:4711 established", "eventfd", a path
  std::optional<TimerFd> timer;
  std::vector<int>
      watched;  // of an epoll: the descriptors it watches, as they were numbered when added; bounded
  uint64_t watched_count = 0;  // all of them
};

// `tid`: a thread that has the descriptor; the leader, but for one with a table of its own. `record`: nullptr
// where there is none: then sockets stay without their addresses.
Descriptor describe_descriptor(ProcFiles& proc, uint32_t pid, uint32_t tid, int fd, const OpenFile* record);

// Of a record alone. Empty: a path, which the record does not have.
std::string describe_file(const OpenFile& record);

// "tcp 127.0.0.1:80 -> 127.0.0.1:4711 established"
std::string describe_socket(const loiter_socket& socket, uint64_t inode);

// Lines of fdinfo. Nothing where they are not what the kernel writes.
std::optional<TimerFd> parse_timerfd(std::string_view fdinfo);
struct EpollInfo {
  std::vector<int> watched;  // at most kMaxWatched
  uint64_t count = 0;
};
constexpr size_t kMaxWatched = 64;
EpollInfo parse_epoll(std::string_view fdinfo);
std::optional<uint64_t> parse_eventfd_count(std::string_view fdinfo);
std::optional<int32_t> parse_pidfd(std::string_view fdinfo);  // in the reader's pid namespace; -1: it ended

// Whether a wait that a socket's own option may bound is bounded; nullopt: not known. TCP gives up connecting
// by itself (tcp_syn_retries). For other time limits this asks nothing of the record.
std::optional<bool> is_bounded(const WaitCall& call, const OpenFile* record);

}  // namespace loiter

#include "daemon/inspect/list_walk.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr uint64_t kMostNs = 1'000'000'000;  // the owner waits for twice as long

struct Links {
  uint64_t next = 0, prev = 0;
};

class Walk {
 public:
  Walk(pid_t pid, const ListToFollow& list) : pid_(pid), list_(list) {}

  // By one call, so that little runs in between.
  bool read(uint64_t node, std::span<const ListToFollow::Range> ranges, std::byte* to, Links& links) {
    std::array<iovec, ListToFollow::kRanges> there{};
    size_t count = 0, wanted = 0;
    for (const ListToFollow::Range& range : ranges) {
      const uint64_t address = node + static_cast<uint64_t>(int64_t{range.offset});
      void* base = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr): the target's
      if (range.size) there[count++] = {base, range.size};
      wanted += range.size;
    }
    const iovec here{to, wanted};
    const ssize_t got = process_vm_readv(pid_, &here, 1, there.data(), count, 0);
    if (got < 0 && errno != EFAULT) error_ = errno;
    if (got != static_cast<ssize_t>(wanted)) return false;
    std::memcpy(&links, to, sizeof(links));
    return true;
  }

  bool read_head(Links& links) {
    const ListToFollow::Range only_links{0, sizeof(Links)};
    std::array<std::byte, sizeof(Links)> bytes{};
    return read(list_.head, std::span(&only_links, 1), bytes.data(), links);
  }

  bool read_node(uint64_t node, std::byte* to, Links& links) { return read(node, list_.ranges, to, links); }

  int error() const { return error_; }

 private:
  pid_t pid_;
  const ListToFollow& list_;
  int error_ = 0;
};

}  // namespace

FollowedList walk_list(pid_t pid, const ListToFollow& list, std::span<std::byte> memory, int32_t& error) {
  using End = FollowedList::End;
  FollowedList result{.end = End::unreadable, .address = list.head};
  const uint64_t size = list.record_size();
  if (list.place > memory.size() || list.ranges[0].offset != 0 || list.ranges[0].size < sizeof(Links)) {
    error = EINVAL;
    return result;
  }
  const uint64_t most = std::min(list.most_nodes, (memory.size() - list.place) / size);
  Walk walk(pid, list);
  Links links;
  std::unordered_set<uint64_t> seen;
  const uint64_t end_ns = monotonic_now_ns() + kMostNs;
  const auto finish = [&](End end) {
    error = walk.error();
    result.end = end;
    return result;
  };
  if (!walk.read_head(links)) return finish(End::unreadable);
  for (uint64_t before = list.head; links.next != list.head;) {
    const uint64_t node = result.address = links.next;
    if (result.nodes >= most) return finish(End::too_many);
    if (result.nodes % 256 == 255 && monotonic_now_ns() > end_ns) return finish(End::too_long);
    if (!seen.insert(node).second) return finish(End::cycle);
    if (!walk.read_node(node, memory.data() + list.place + result.nodes * size, links))
      return finish(End::unreadable);
    if (links.prev != before) return finish(End::torn);
    ++result.nodes;
    before = node;
  }
  // The last one's place: the head must know it. It may have got another first node since: no matter.
  const uint64_t last = result.address;
  if (!walk.read_head(links)) return finish(End::unreadable);
  return finish(links.prev == last ? End::closed : End::torn);
}

}  // namespace loiter

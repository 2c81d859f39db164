#include "daemon/inspect/list_walk.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr uint64_t kMostNs = 1'000'000'000;  // the owner waits for twice as long

// Nodes that lie as far from one another as the two before them are read by one call: so do the descriptors
// of threads that were made one after the other, and a call costs more than what it reads.
constexpr size_t kMostAhead = 64;

// What lies so close together is read at once: for a look-up of a page less.
constexpr int64_t kLongestSpan = 2048;
constexpr uint32_t kLargestRange = 64 * 1024;

struct Links {
  uint64_t next = 0, prev = 0;
};

// Reads nodes in the order in which they are asked for, and so never a later one before an earlier one.
class NodeReader {
 public:
  NodeReader(pid_t pid, const ListToFollow& list) : pid_(pid), list_(list) {
    int64_t begin = 0, end = 0;
    for (const ListToFollow::Range& range : list.ranges) {
      if (range.size == 0) continue;
      begin = std::min<int64_t>(begin, range.offset);
      end = std::max<int64_t>(end, int64_t{range.offset} + range.size);
    }
    if (end - begin <= kLongestSpan)
      spans_.push_back({static_cast<int32_t>(begin), static_cast<uint32_t>(end - begin)});
    else
      for (const ListToFollow::Range& range : list.ranges)
        if (range.size) spans_.push_back(range);
    for (const ListToFollow::Range& span : spans_) stride_ += span.size;
    // So many that a call takes all of them: IOV_MAX is 1024.
    most_ahead_ = spans_.size() == 1 ? kMostAhead : 1;
    buffer_.resize(stride_ * most_ahead_);
  }

  size_t most_ahead() const { return most_ahead_; }

  // The node itself, and `ahead` more at that distance from one another. How many could be read.
  size_t read(uint64_t node, uint64_t distance, size_t ahead) {
    std::array<iovec, kMostAhead + ListToFollow::kRanges> there{};
    size_t count = 0;
    for (size_t i = 0; i <= std::min(ahead, most_ahead_ - 1); ++i)
      for (const ListToFollow::Range& span : spans_) {
        const uint64_t address = node + i * distance + static_cast<uint64_t>(int64_t{span.offset});
        void* base = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr): the target's
        there[count++] = {base, span.size};
      }
    const iovec here{buffer_.data(), buffer_.size()};
    const ssize_t got = process_vm_readv(pid_, &here, 1, there.data(), count, 0);
    if (got < 0 && errno != EFAULT) error_ = errno;
    return got < 0 ? 0 : static_cast<size_t>(got) / stride_;
  }

  // Of one that was read: its links, and what is wanted of it.
  Links links(size_t index) const {
    Links links;
    std::memcpy(&links, at(index, 0), sizeof(links));
    return links;
  }
  void copy(size_t index, std::byte* to) const {
    for (const ListToFollow::Range& range : list_.ranges) {
      if (range.size) std::memcpy(to, at(index, range.offset), range.size);
      to += range.size;
    }
  }

  bool read_head(Links& links) {
    void* base = reinterpret_cast<void*>(list_.head);  // NOLINT(performance-no-int-to-ptr): the target's
    const iovec here{&links, sizeof(links)}, there{base, sizeof(links)};
    const ssize_t got = process_vm_readv(pid_, &here, 1, &there, 1, 0);
    if (got < 0 && errno != EFAULT) error_ = errno;
    return got == sizeof(links);
  }

  int error() const { return error_; }

 private:
  const std::byte* at(size_t index, int32_t offset) const {
    size_t before = index * stride_;
    for (const ListToFollow::Range& span : spans_) {
      if (offset >= span.offset && offset - span.offset < static_cast<int64_t>(span.size))
        return buffer_.data() + before + static_cast<size_t>(offset - span.offset);
      before += span.size;
    }
    return buffer_.data();  // each range lies in a span
  }

  pid_t pid_;
  const ListToFollow& list_;
  std::vector<ListToFollow::Range> spans_;
  size_t stride_ = 0;
  size_t most_ahead_ = 1;
  std::vector<std::byte> buffer_;
  int error_ = 0;
};

class Walk {
 public:
  Walk(pid_t pid, const ListToFollow& list, std::span<std::byte> memory)
      : list_(list), reader_(pid, list), to_(memory.data() + list.place), size_(list.record_size()) {
    most_ = std::min(list.most_nodes, (memory.size() - list.place) / size_);
  }

  FollowedList run(int32_t& error) {
    result_ = {.end = FollowedList::End::unreadable, .address = list_.head};
    result_.end = follow();
    error = reader_.error();
    return result_;
  }

 private:
  using End = FollowedList::End;

  End follow() {
    Links links;
    if (!reader_.read_head(links)) return End::unreadable;
    const uint64_t end_ns = monotonic_now_ns() + kMostNs;
    uint64_t before = list_.head, distance = 0;
    for (size_t ahead = 0; links.next != list_.head;) {
      const size_t read = reader_.read(links.next, distance, ahead);
      size_t taken = 0;
      for (uint64_t expected = links.next; taken < read && links.next == expected; expected += distance) {
        if (const End end = take(taken++, before, links); end != End::closed) return end;
        if (links.next == list_.head) break;
      }
      if (taken == 0) return note_unreadable(links.next);
      if (monotonic_now_ns() > end_ns) return End::too_long;
      // As many more as proved right, and none after a guess that was wrong.
      ahead = taken > ahead ? std::min(2 * ahead + 1, reader_.most_ahead() - 1) : 0;
      distance = links.next - before;
    }
    // The last one's place: the head must know it. It may have got another first node since: no matter.
    const uint64_t last = result_.address;
    if (!reader_.read_head(links)) return End::unreadable;
    return links.prev == last ? End::closed : End::torn;
  }

  // `closed`: all is well so far.
  End take(size_t index, uint64_t& before, Links& links) {
    const uint64_t node = result_.address = links.next;
    if (result_.nodes >= most_) return End::too_many;
    // Who goes round comes by the node that was kept; another one is kept ever more rarely (Brent).
    if (node == kept_) return End::cycle;
    if (result_.nodes == keep_next_) {
      kept_ = node;
      keep_next_ = 2 * keep_next_ + 1;
    }
    links = reader_.links(index);
    if (links.prev != before) return End::torn;
    reader_.copy(index, to_ + result_.nodes * size_);
    ++result_.nodes;
    before = node;
    return End::closed;
  }

  End note_unreadable(uint64_t node) {
    result_.address = node;
    return End::unreadable;
  }

  const ListToFollow& list_;
  NodeReader reader_;
  std::byte* to_;
  uint64_t size_;
  uint64_t most_ = 0;
  uint64_t kept_ = 0, keep_next_ = 0;
  FollowedList result_;
};

}  // namespace

FollowedList walk_list(pid_t pid, const ListToFollow& list, std::span<std::byte> memory, int32_t& error) {
  const bool bounded = std::all_of(std::begin(list.ranges), std::end(list.ranges),
                                   [](const auto& range) { return range.size <= kLargestRange; });
  if (list.place > memory.size() || list.ranges[0].offset != 0 || list.ranges[0].size < sizeof(Links) ||
      !bounded) {
    error = EINVAL;
    return {.end = FollowedList::End::unreadable, .address = list.head};
  }
  return Walk(pid, list, memory).run(error);
}

}  // namespace loiter

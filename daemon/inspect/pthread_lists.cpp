#include "daemon/inspect/pthread_lists.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "daemon/base/clock.h"
#include "daemon/inspect/wait_call.h"

namespace loiter {
namespace {

// nptl/descr.h; the same bits in every glibc that has these lists.
constexpr uint32_t kExiting = 0x10;
constexpr uint32_t kTerminated = 0x20;  // its descriptor has been given back
constexpr uint32_t kTidMax = 4'194'304;

constexpr uint64_t kBatchBytes = SharedMemory::kSize - SharedMemory::kReserved;
constexpr uint64_t kMostEntries = 200'000;

// A walk of some hundred descriptors takes less than a millisecond, and of those that meet a change few
// break.
constexpr int kMostWalks = 50;
constexpr uint64_t kMostNs = 500'000'000;

// How the fields of a descriptor lie in a record of the list, gathered into few ranges: each costs a look-up
// of pages.
class Record {
 public:
  explicit Record(const PthreadLayout& layout) : base_(layout.list) {
    add(layout.list, 16);
    add(layout.tid, 4);
    add(layout.cancelhandling, 4);
    add(layout.joinid, 40);  // up to the argument of the start routine
    add(layout.stackblock, 16);
  }

  void describe(ListToFollow& list) const { std::copy(ranges_.begin(), ranges_.end(), list.ranges); }

  template <typename T>
  T get(const std::byte* record, uint32_t field) const {
    T value{};
    size_t at = 0;
    for (const ListToFollow::Range& range : ranges_) {
      const int64_t within = int64_t{field} - base_ - range.offset;
      if (within >= 0 && within + static_cast<int64_t>(sizeof(T)) <= range.size) {
        std::memcpy(&value, record + at + within, sizeof(T));
        break;
      }
      at += range.size;
    }
    return value;
  }

 private:
  void add(uint32_t field, uint32_t size) {
    ranges_.push_back({static_cast<int32_t>(int64_t{field} - base_), size});
  }

  int64_t base_;
  std::vector<ListToFollow::Range> ranges_;  // as many as ListToFollow::kRanges
};

bool looks_unjoined(const PthreadEntry& entry) {
  return fate_of(entry, false) == PthreadFate::unjoined;
}

std::unordered_set<uint64_t> descriptors_of(const std::vector<PthreadEntry>& entries) {
  std::unordered_set<uint64_t> all;
  all.reserve(entries.size());
  for (const PthreadEntry& entry : entries) all.insert(entry.descriptor);
  return all;
}

bool are_distinct(const std::vector<PthreadEntry>& entries) {
  std::vector<uint64_t> all;
  all.reserve(entries.size());
  for (const PthreadEntry& entry : entries) all.push_back(entry.descriptor);
  std::sort(all.begin(), all.end());
  return std::adjacent_find(all.begin(), all.end()) == all.end();
}

}  // namespace

// A thread that ends sets EXITING, and the kernel clears its tid when it is gone. Without EXITING a tid of 0
// is that of one that is just being made. Who joins puts its own descriptor into joinid first, and then gives
// the thread's back, which sets TERMINATED.
PthreadFate fate_of(const PthreadEntry& entry, bool joiner_is_listed) {
  if (entry.cancelhandling & kTerminated) return PthreadFate::gone;
  const bool ended = entry.tid == 0 || entry.tid > kTidMax;  // -1: its end has been taken note of
  if (entry.joinid == entry.descriptor) return ended ? PthreadFate::gone : PthreadFate::detached;
  if (entry.joinid != 0) return joiner_is_listed ? PthreadFate::joining : PthreadFate::unclear;
  if (!ended) return PthreadFate::live;
  return entry.tid == 0 && (entry.cancelhandling & kExiting) ? PthreadFate::unjoined : PthreadFate::unclear;
}

std::vector<size_t> unjoined_of(const std::vector<PthreadEntry>& entries) {
  std::vector<size_t> unjoined;
  for (size_t i = 0; i < entries.size(); ++i)
    if (looks_unjoined(entries[i])) unjoined.push_back(i);
  return unjoined;
}

Result<FollowedList> PthreadListReader::follow(uint32_t pid, const PthreadLayout& layout, uint64_t head,
                                               bool user_stack, std::vector<PthreadEntry>& entries) {
  const Record fields(layout);
  ListToFollow list{.head = head, .most_nodes = kMostEntries};
  fields.describe(list);
  list.most_nodes = std::min(kMostEntries, kBatchBytes / list.record_size());
  auto followed = opener_.follow_list(pid, list);
  if (!followed) return followed;
  const uint64_t size = list.record_size();
  uint64_t node = followed->address;  // of the last one; each points back at the one before
  const size_t first = entries.size();
  if (followed->end == FollowedList::End::closed) entries.resize(first + followed->nodes);
  for (size_t i = entries.size(); i-- > first;) {
    const std::byte* record = memory_.data() + (i - first) * size;
    PthreadEntry& entry = entries[i];
    entry.descriptor = node - layout.list;
    entry.tid = fields.get<uint32_t>(record, layout.tid);
    entry.cancelhandling = fields.get<uint32_t>(record, layout.cancelhandling);
    entry.joinid = fields.get<uint64_t>(record, layout.joinid);
    entry.start_routine = fields.get<uint64_t>(record, layout.start_routine);
    entry.argument = fields.get<uint64_t>(record, layout.start_routine + 8);
    entry.stack = fields.get<uint64_t>(record, layout.stackblock);
    entry.stack_size = fields.get<uint64_t>(record, layout.stackblock + 8);
    entry.user_stack = user_stack;
    node = fields.get<uint64_t>(record, layout.list + 8);
  }
  memory_.wipe((followed->nodes + 1) * size);
  return followed;
}

Result<std::vector<PthreadEntry>> PthreadListReader::read(uint32_t pid, const PthreadLayout& layout) {
  if (!layout.no_lists.empty()) return Error{Error::Kind::unavailable, layout.no_lists};
  using End = FollowedList::End;
  const uint64_t end_ns = monotonic_now_ns() + kMostNs;
  End why = End::torn;
  for (int walk = 0; walk < kMostWalks && monotonic_now_ns() < end_ns; ++walk) {
    std::vector<PthreadEntry> entries;
    bool whole = true;
    for (const bool user_stack : {false, true}) {
      auto followed =
          follow(pid, layout, user_stack ? layout.user_list : layout.used_list, user_stack, entries);
      if (!followed) return followed.error();
      whole = whole && followed->end == End::closed;
      if (followed->end != End::closed) why = followed->end;
    }
    if (whole && are_distinct(entries)) return entries;
    if (why == End::too_many || why == End::too_long) break;
  }
  return Error{Error::Kind::unavailable,
               std::string("glibc's list of threads kept changing, or is broken: ") + to_string(why)};
}

// A descriptor may have been given back and taken again between the reading of its tid and that of its
// joinid. Once more, in the other order: it had ended before, has still, and in between nobody had joined it.
Result<std::vector<size_t>> PthreadListReader::still_unjoined(uint32_t pid, const PthreadLayout& layout,
                                                              const std::vector<PthreadEntry>& entries,
                                                              const std::vector<size_t>& candidates) {
  // joinid, then all from tid to cancelhandling: they are neighbours, and one piece is cheaper than two.
  const uint32_t first = std::min(layout.tid, layout.cancelhandling);
  const uint32_t size = std::max(layout.tid, layout.cancelhandling) + 4 - first;
  const uint64_t stride = (8 + size + 7) & ~uint64_t{7};
  std::vector<size_t> unjoined;
  std::vector<MemoryPiece> pieces;
  for (size_t begin = 0, count = 0; begin < candidates.size(); begin += count) {
    count = std::min<size_t>(candidates.size() - begin, kBatchBytes / stride);
    pieces.clear();
    for (size_t i = 0; i < count; ++i) {
      const uint64_t place = i * stride, descriptor = entries[candidates[begin + i]].descriptor;
      pieces.push_back({.address = descriptor + layout.joinid, .size = 8, .place = place});
      pieces.push_back({.address = descriptor + first, .size = size, .place = place + 8});
    }
    if (Status read = opener_.read_memory(pid, pieces); !read) return read.error();
    for (size_t i = 0; i < count; ++i) {
      PthreadEntry again = entries[candidates[begin + i]];
      const std::byte* record = memory_.data() + i * stride;
      std::memcpy(&again.joinid, record, 8);
      std::memcpy(&again.tid, record + 8 + (layout.tid - first), 4);
      std::memcpy(&again.cancelhandling, record + 8 + (layout.cancelhandling - first), 4);
      const bool read = pieces[2 * i].got == 8 && pieces[2 * i + 1].got == size;
      if (read && looks_unjoined(again)) unjoined.push_back(candidates[begin + i]);
    }
    memory_.wipe(count * stride);
  }
  return unjoined;
}

bool is_plausible_stack(const PthreadEntry& entry, const std::vector<Mapping>& mappings) {
  constexpr uint64_t kPage = 4096;
  const uint64_t begin = entry.stack, end = entry.stack + entry.stack_size;
  if (begin == 0 || end <= begin || entry.descriptor < begin || entry.descriptor >= end) return false;
  if (!entry.user_stack && (begin % kPage || end % kPage)) return false;
  const Mapping* mapping = find_mapping(mappings, begin);
  if (!mapping) return false;
  const Mapping* last = mappings.data() + mappings.size();
  for (uint64_t covered = begin; covered < end; ++mapping) {
    if (mapping == last || mapping->start > covered) return false;
    if (mapping->inode != 0 && !entry.user_stack) return false;
    covered = mapping->end;
  }
  return true;
}

void add_futexes(const loiter_thread& record, Futexes& futexes) {
  if (!(record.marks & LOITER_MARK_REGS) || record.exit_state != 0) return;
  if (const std::optional<FutexCall> call = wait_call_of(record).futex) futexes.insert(call->address);
}

bool is_waited_for(const PthreadEntry& entry, const PthreadLayout& layout, const Futexes& futexes) {
  return futexes.contains(entry.descriptor + layout.tid);
}

PthreadCounts count_pthreads(const PthreadLayout& layout, const std::vector<PthreadEntry>& entries,
                             const std::vector<size_t>& unjoined, const Futexes& futexes,
                             const std::vector<Mapping>& mappings) {
  PthreadCounts counts;
  const std::unordered_set<uint64_t> listed = descriptors_of(entries);
  for (const PthreadEntry& entry : entries) {
    PthreadFate fate = fate_of(entry, entry.joinid != entry.descriptor && listed.contains(entry.joinid));
    if ((fate == PthreadFate::live || fate == PthreadFate::unjoined) && is_waited_for(entry, layout, futexes))
      fate = PthreadFate::joining;
    switch (fate) {
      case PthreadFate::live:
        ++counts.live;
        break;
      case PthreadFate::detached:
        ++counts.detached;
        break;
      case PthreadFate::joining:
        ++counts.joining;
        break;
      case PthreadFate::unclear:
        ++counts.unclear;
        break;
      case PthreadFate::unjoined:  // these are counted for certain
      case PthreadFate::gone:
        break;
    }
  }
  for (const size_t index : unjoined) {
    const PthreadEntry& entry = entries[index];
    UnjoinedThread& thread = counts.unjoined.emplace_back();
    thread.thread_pointer = layout.thread_pointer_of(entry.descriptor);
    thread.start_routine = entry.start_routine;
    thread.user_stack = entry.user_stack;
    if (is_plausible_stack(entry, mappings)) thread.stack_bytes = entry.stack_size;
  }
  return counts;
}

bool hold_its_threads(const std::vector<PthreadEntry>& entries, const PthreadLayout& layout,
                      const std::vector<InspectedThread>& threads) {
  std::unordered_map<uint64_t, uint32_t> tids;
  for (const PthreadEntry& entry : entries) tids.emplace(entry.descriptor, entry.tid);
  return std::any_of(threads.begin(), threads.end(), [&](const InspectedThread& thread) {
    const auto found = tids.find(layout.descriptor_of(thread.record.tls_base));
    return thread.record.tls_base && found != tids.end() && found->second == thread.ns_tid;
  });
}

}  // namespace loiter

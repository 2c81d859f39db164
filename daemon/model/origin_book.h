// Where the threads of each process came from, and how many came and went: by creation site, and over time.
//
// A part of the HostModel, which tells it of every thread but the leaders; the collector's thread. Entirely
// passive: time is an argument. Nothing rests on an event having arrived: births and ends that only a census
// found count as well, as births without a site.
//
// Bounded: in sites of a process and of all, the least recently used go first and their births are counted as
// `forgotten`; a history has kBuckets buckets, whose width doubles when they are full.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/inspect/origin_types.h"
#include "daemon/model/task_key.h"

namespace loiter {

struct SiteCreator {
  TaskKey key;
  std::string name;  // bytes, as of its last birth here
  uint64_t births = 0;
};

struct CreationSite {
  static constexpr size_t kLifetimes = 64;
  uint32_t id = 0;  // never given twice
  SiteStackPtr stack;
  uint64_t births = 0;
  uint64_t ended = 0;
  std::array<uint64_t, kLifetimes>
      lifetimes{};  // of ended threads, by log2 of their ns; not of all: see API.md
  struct Routine {
    std::shared_ptr<const SiteFrame> frame;
    uint64_t births = 0;
  };
  std::vector<Routine> routines;      // where its threads began to run, a few; not known of all
  std::vector<SiteCreator> creators;  // those with the most births, a few
  uint64_t other_creators = 0;        // births by others
  uint64_t last_used = 0;

  uint64_t live() const { return births - ended; }
};

struct OriginBucket {
  uint64_t births = 0;
  uint64_t ends = 0;
  uint64_t live = 0;  // at its end
};

// One process, as it is published.
struct ProcessOrigins {
  static constexpr size_t kGaps = static_cast<size_t>(SiteGap::count);
  uint64_t births = 0;  // since it is watched: those with a site, and those without but for before_daemon
  uint64_t ends = 0;
  uint64_t live = 0;                   // without the leader; with those from before the daemon
  std::array<uint64_t, kGaps> gaps{};  // threads without a site, by reason
  std::vector<CreationSite> sites;     // by id
  uint64_t first_boot_ns = 0;          // when the history begins
  uint64_t bucket_ns = 0;              // width of a bucket
  std::vector<OriginBucket> history;   // oldest first; behind the last one nothing happened

  const CreationSite* find(uint32_t id) const;
};
using ProcessOriginsPtr = std::shared_ptr<const ProcessOrigins>;

class OriginBook {
 public:
  static constexpr size_t kBuckets = 64;

  struct Limits {
    size_t sites_of_process = 128;
    size_t sites = 2048;
    size_t creators = 8;  // of a site, named
    size_t routines = 8;  // likewise
  };

  OriginBook() : OriginBook(Limits()) {}
  explicit OriginBook(const Limits& limits) : limits_(limits) {}

  // What the model keeps of a thread for this: which site, or why none.
  struct Mark {
    uint32_t site = 0;
    SiteGap gap = SiteGap::none;
    uint32_t account = 0;  // that it was counted in: a pid that is used again begins another one
  };

  // A thread that is no leader was made. `gap`: pending where a FoundOrigin is to come.
  Mark add_birth(uint32_t pid, const TaskKey& thread, const TaskKey& creator, std::string_view creator_name,
                 uint64_t boot_ns, SiteGap gap);
  // A census has it, no event told of it. `before`: it was there when the daemon came.
  Mark add_found(uint32_t pid, const TaskKey& thread, uint64_t boot_ns, bool before);
  // The event of one that was found, and marked so, came after all.
  Mark tell_late(uint32_t pid, const TaskKey& thread, const Mark& mark, const TaskKey& creator,
                 std::string_view creator_name, uint64_t boot_ns, SiteGap gap);
  // A birth of a thread that is not kept: its end will not be told.
  void add_untracked(uint32_t pid, uint64_t boot_ns);
  // It ended. `lifetime_ns`: nothing where not known.
  void add_end(uint32_t pid, const TaskKey& thread, const Mark& mark, uint64_t boot_ns,
               std::optional<uint64_t> lifetime_ns);
  // The end of one whose birth was told after it has been counted already.
  void tell_ended(uint32_t pid, const TaskKey& thread, std::optional<uint64_t> lifetime_ns);
  // It is there still: the end that was told counts no more. Its mark from now on.
  Mark take_back_end(uint32_t pid, const TaskKey& thread, const Mark& mark, uint64_t boot_ns,
                     std::optional<uint64_t> lifetime_ns);
  void end_process(uint32_t pid);

  // What was found of a birth that was pending. `same_program`: its process has not become another one since.
  // Nothing: nobody waits for it any more.
  std::optional<Mark> accept(const FoundOrigin& found, bool same_program);

  // As of now; null where no thread but the leader was ever there. The same as before while nothing has
  // changed.
  ProcessOriginsPtr publish(uint32_t pid);

  // Threads without a site by reason, of all processes, since the daemon runs.
  const std::array<uint64_t, ProcessOrigins::kGaps>& gaps() const { return gaps_; }
  size_t site_count() const { return site_count_; }

 private:
  struct Pending {
    SiteCreator creator;
    bool ended = false;
    std::optional<uint64_t> lifetime_ns;  // once it has ended
  };
  struct Entry {
    uint32_t account = 0;
    ProcessOrigins origins;
    std::unordered_map<TaskKey, Pending, TaskKeyHash> pending;
    ProcessOriginsPtr published;  // null: it has changed since
  };

  Entry& entry_of(uint32_t pid, uint64_t boot_ns);
  Entry* find(uint32_t pid);
  Entry* find(uint32_t pid, const Mark& mark);  // null also where that was counted in another account
  OriginBucket& bucket_at(Entry& entry, uint64_t boot_ns);
  Mark mark_birth(Entry& entry, const TaskKey& thread, SiteCreator creator, SiteGap gap);
  void count_gap(Entry& entry, SiteGap gap);
  void uncount_gap(Entry& entry, SiteGap gap);
  static CreationSite* find_site(Entry& entry, uint32_t id);
  CreationSite& site_of(Entry& entry, const SiteStackPtr& stack);
  void count_creator(CreationSite& site, SiteCreator creator);
  void count_routine(CreationSite& site, const std::shared_ptr<const SiteFrame>& routine) const;
  void forget_site(Entry& entry, size_t index);
  void make_room(Entry& entry);

  Limits limits_;
  std::unordered_map<uint32_t, Entry> entries_;  // by pid
  std::array<uint64_t, ProcessOrigins::kGaps> gaps_{};
  size_t site_count_ = 0;
  uint32_t last_site_ = 0;
  uint32_t last_account_ = 0;
  uint64_t uses_ = 0;
};

}  // namespace loiter

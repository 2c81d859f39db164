// The findings of a host over time: raised once, kept up to date while they last, resolved when their cause
// is gone.
//
// Owned by the thread that judges. No clock, no file: the time is that of the snapshot that was judged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "daemon/detect/finding.h"
#include "daemon/model/snapshot.h"

namespace loiter {

enum class Resolution : uint8_t {
  none,
  cause_gone,
  process_ended,
  ignored,
  host_restarted,  // and everything with it
};
const char* to_string(Resolution resolution);  // the words in the API

struct KeptFinding {
  Finding finding;  // threads, chain and stacks as they were when it was raised; ages as of `last_boot_ns`
  uint64_t first_boot_ns = 0;
  uint64_t last_boot_ns = 0;      // last found
  uint64_t resolved_boot_ns = 0;  // 0: it lasts
  Resolution resolution = Resolution::none;
  uint64_t told_boot_ns = 0;  // when it, or a change of it, was last told…
  uint64_t told_count = 0;    // … and how many threads it concerned then
  // Of an earlier run of the daemon, and not found since: nobody watched from `last_boot_ns` on. Where it is
  // resolved so, it was gone at some time between the two.
  bool unwatched = false;
  uint64_t first_ns = 0;      // wall time of `first_boot_ns`, as that run told it; 0: it is of this run
  uint64_t hold_boot_ns = 0;  // until then it is not taken for gone: detectors have to see enough first
};
using KeptFindingPtr = std::shared_ptr<const KeptFinding>;

// Gives `found` what was seen of its threads when `before`, the same finding, was: their stacks above all.
void keep_what_was_seen(Finding& found, const Finding& before);

class FindingBook {
 public:
  struct Limits {
    size_t live = 4096;
    size_t resolved = 1024;                          // the last ones
    uint64_t resolve_after_ns = 3'000'000'000;       // not found for so long: it is gone
    uint64_t tell_update_after_ns = 10'000'000'000;  // changes of numbers are told no more often
  };
  FindingBook() : FindingBook(Limits()) {}
  explicit FindingBook(const Limits& limits) : limits_(limits) {}

  struct Changes {
    std::vector<KeptFindingPtr> raised;
    std::vector<KeptFindingPtr> updated;  // severity, certainty, or how many
    std::vector<KeptFindingPtr> resolved;
  };
  // All that the detectors found in `snapshot`. `ignored`: ids of what a rule left out of it.
  Changes update(std::vector<Finding> found, const Snapshot& snapshot,
                 const std::set<std::string>& ignored = {});

  // One from an earlier run of the daemon, of the same boot, which may last still: it is not raised again,
  // and told as updated when it is found again. Where it has been found meanwhile, it is one with that.
  void restore(KeptFinding finding);

  // One that lasts, as of the last update; null: there is none. Good until the next one.
  const Finding* find(const std::string& id) const;

  // Whom one that lasts concerned, beside its `threads`, when it was last found.
  // Good until the next update.
  std::span<const FindingMember> members(const std::string& id) const;

  // Those that last, by id; and those that were resolved, the last one first.
  std::vector<KeptFindingPtr> live() const;
  std::vector<KeptFindingPtr> resolved() const { return {resolved_.begin(), resolved_.end()}; }
  uint64_t dropped() const { return dropped_; }  // found, but there were too many

 private:
  Limits limits_;
  std::map<std::string, KeptFindingPtr> live_;
  // Of those alone: what was told, resolved or handed to the history goes without its members.
  std::map<std::string, std::vector<FindingMember>> members_;
  std::deque<KeptFindingPtr> resolved_;
  uint64_t dropped_ = 0;
};

}  // namespace loiter

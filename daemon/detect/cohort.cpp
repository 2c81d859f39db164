#include "daemon/detect/cohort.h"

#include <algorithm>
#include <compare>
#include <map>
#include <span>
#include <utility>

namespace loiter {
namespace {

// Those of a stack, which are the look's. They are good for that look alone.
struct Places {
  std::span<const uint32_t> numbers;
  friend bool operator==(const Places& a, const Places& b) {
    return std::ranges::equal(a.numbers, b.numbers);
  }
  friend auto operator<=>(const Places& a, const Places& b) {
    return std::lexicographical_compare_three_way(a.numbers.begin(), a.numbers.end(), b.numbers.begin(),
                                                  b.numbers.end());
  }
};

// What threads of one cohort have in common.
struct Key {
  bool leads = false;
  uint32_t site = 0;
  std::string routine;  // where the site is not known
  bool looked_at = false;
  Places places;
  int state = 0;
  int64_t syscall = -1;
  friend auto operator<=>(const Key&, const Key&) = default;
};

std::string routine_of(const SeenThread& seen) {
  if (!seen || !seen.thread->routine || *seen.thread->routine >= seen.inspection->routines.size()) return {};
  const StartRoutine& routine = seen.inspection->routines[*seen.thread->routine];
  if (!routine.callable.empty()) return routine.callable;
  if (!routine.symbol.empty()) return routine.symbol;
  const auto module = seen.inspection->modules.find(routine.module);
  return (module == seen.inspection->modules.end() ? "" : module->second) + '+' +
         std::to_string(routine.offset);
}

const Stack* stack_of(const SeenThread& seen) {
  if (!seen || !seen.thread->stack || *seen.thread->stack >= seen.inspection->stacks.stacks.size())
    return nullptr;
  return &seen.inspection->stacks.stacks[*seen.thread->stack];
}

SeenThread seen_of(const HostCase& host, const ProcessView& process, const ThreadView& thread) {
  const size_t node = host.find(process.key.tid, thread.key.tid);
  return node == kWaitsForNobody ? SeenThread{} : host.threads()[node].seen;
}

Key key_of(const ProcessView& process, const ThreadView& thread, const SeenThread& seen) {
  Key key;
  key.leads = thread.key == process.key;
  key.site = process.origins && process.origins->find(thread.site) ? thread.site : 0;
  if (key.site == 0) key.routine = routine_of(seen);
  if (const Stack* stack = stack_of(seen); stack && !stack->places.empty()) {
    key.looked_at = true;
    key.places = {stack->places};
  } else if (is_blocked(thread.state)) {
    key.state = 1 + static_cast<int>(thread.state);
    key.syscall = thread.syscall;
  }
  return key;
}

Cohort begin_cohort(const HostCase& host, const ProcessView& process, const ThreadView& thread,
                    const SeenThread& seen, const Key& key) {
  Cohort cohort{.process = &process,
                .site = key.site ? process.origins->find(key.site) : nullptr,
                .routine = routine_of(seen),
                .leads = key.leads,
                .looked_at = key.looked_at,
                .stack = {},
                .state = thread.state,
                .syscall = key.syscall,
                .threads = {},
                .oldest_ns = 0,
                .longest_blocked_ns = {}};
  if (key.looked_at)
    cohort.stack = finding_thread(host.threads()[host.find(process.key.tid, thread.key.tid)]).stack;
  return cohort;
}

}  // namespace

std::vector<Cohort> cohorts_of(const HostCase& host, const ProcessView& process) {
  std::map<Key, Cohort> found;
  const uint64_t now = host.snapshot().begin_boot_ns;
  for (const ThreadView& thread : process.threads) {
    const SeenThread seen = seen_of(host, process, thread);
    Key key = key_of(process, thread, seen);
    auto entry = found.find(key);
    if (entry == found.end()) {
      Cohort begun = begin_cohort(host, process, thread, seen, key);
      entry = found.emplace(std::move(key), std::move(begun)).first;
    }
    Cohort& cohort = entry->second;
    cohort.threads.push_back(&thread);
    cohort.oldest_ns = std::max(cohort.oldest_ns, now - std::min(now, thread.key.start_boot_ns));
    if (thread.blocked_ns)
      cohort.longest_blocked_ns = std::max(cohort.longest_blocked_ns.value_or(0), *thread.blocked_ns);
  }
  std::vector<Cohort> cohorts;
  for (auto& [key, cohort] : found) {
    std::stable_sort(cohort.threads.begin(), cohort.threads.end(),
                     [](const ThreadView* a, const ThreadView* b) {
                       return a->blocked_ns.value_or(0) > b->blocked_ns.value_or(0);
                     });
    cohorts.push_back(std::move(cohort));
  }
  std::stable_sort(cohorts.begin(), cohorts.end(),
                   [](const Cohort& a, const Cohort& b) { return a.count() > b.count(); });
  return cohorts;
}

}  // namespace loiter

#include "daemon/detect/suspects.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include "daemon/model/syscalls.h"

namespace loiter {
namespace {

constexpr std::array<std::string_view, 7> kLocks = {"futex", "futex_time64", "futex_wait", "futex_waitv",
                                                    "flock", "fcntl",        "fcntl64"};
constexpr std::array<std::string_view, 18> kSlow = {
    "write",    "writev",  "pwrite64", "pwritev", "pwritev2", "sendto",  "sendmsg", "sendmmsg", "splice",
    "sendfile", "connect", "read",     "readv",   "recvfrom", "recvmsg", "open",    "openat",   "openat2",
};

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Suspicion of_call(int64_t number, bool compat) {
  const std::string& name = syscall_name(number, compat);
  if (contains(kLocks, name)) return Suspicion::lock;
  return contains(kSlow, name) ? Suspicion::slow : Suspicion::none;
}

// Names are looked up once for each number.
Suspicion by_number(int64_t number, bool compat) {
  constexpr int64_t kNumbers = 512;
  static const auto known = [] {
    std::array<Suspicion, kNumbers> made{};
    for (int64_t i = 0; i < kNumbers; ++i) made[static_cast<size_t>(i)] = of_call(i, false);
    return made;
  }();
  if (number < 0) return Suspicion::none;
  if (compat || number >= kNumbers) return of_call(number, compat);
  return known[static_cast<size_t>(number)];
}

// Whether who it waits for sleeps still as it did when it was seen.
class Standing {
 public:
  Standing(const Snapshot& snapshot, const Waits& waits) : snapshot_(snapshot), waits_(waits) {}

  bool stands(const WaitEdge& edge) {
    if (edge.to_tid == 0) return true;
    const ThreadView* to = find(edge.to_pid, edge.to_tid);
    return to && static_cast<bool>(waits_.find(edge.to_pid, *to));
  }

 private:
  const ThreadView* find(uint32_t pid, uint32_t tid) {
    auto [entry, added] = threads_.try_emplace(pid);
    if (const ProcessView* process = added ? snapshot_.find(pid) : nullptr;
        process && !process->ended_boot_ns)
      for (const ThreadView& thread : process->threads) entry->second[thread.key.tid] = &thread;
    auto thread = entry->second.find(tid);
    return thread == entry->second.end() ? nullptr : thread->second;
  }

  const Snapshot& snapshot_;
  const Waits& waits_;
  std::unordered_map<uint32_t, std::unordered_map<uint32_t, const ThreadView*>> threads_;  // by pid, tid
};

}  // namespace

Suspicion suspicion_of(const ThreadView& thread) {
  if (thread.state == TaskState::uninterruptible) return Suspicion::slow;
  if (thread.state != TaskState::sleeping) return Suspicion::none;
  return by_number(thread.syscall, thread.compat);
}

std::vector<Suspect> find_suspects(const Snapshot& snapshot, const Waits& waits, uint64_t settled_ns,
                                   uint64_t threshold_ns) {
  std::vector<Suspect> suspects;
  Standing standing(snapshot, waits);
  for (const ProcessView& process : snapshot.processes) {
    if (process.kernel || process.ended_boot_ns) continue;
    Suspect suspect{.pid = process.key.tid, .start_boot_ns = process.key.start_boot_ns};
    for (const ThreadView& thread : process.threads) {
      const uint64_t age = thread.blocked_ns.value_or(0);
      if (age <= suspect.longest_ns) continue;  // another one has made it a suspect already
      const Suspicion suspicion = suspicion_of(thread);
      if (suspicion == Suspicion::none) continue;
      if (age < (suspicion == Suspicion::lock ? settled_ns : threshold_ns)) continue;
      const SeenThread seen = waits.find(process.key.tid, thread);
      const bool known = seen && (age < threshold_ns || !seen.edge || standing.stands(*seen.edge));
      if (!known) suspect.longest_ns = std::max<uint64_t>(age, 1);
    }
    if (suspect.longest_ns) suspects.push_back(suspect);
  }
  std::stable_sort(suspects.begin(), suspects.end(),
                   [](const Suspect& a, const Suspect& b) { return a.longest_ns > b.longest_ns; });
  return suspects;
}

}  // namespace loiter

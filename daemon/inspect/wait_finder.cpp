#include "daemon/inspect/wait_finder.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr int kKcmpVm = 1;  // KCMP_VM (linux/kcmp.h)

uint64_t now_of(TimeoutSource::Clock clock) {
  switch (clock) {
    case TimeoutSource::Clock::realtime:
      return realtime_now_ns();
    case TimeoutSource::Clock::boottime:
      return boottime_now_ns();
    default:
      return monotonic_now_ns();
  }
}

}  // namespace

struct WaitFinder::Times {
  size_t thread = 0;
  std::span<const std::byte> bytes;
};

void WaitFinder::begin(const Inspection& inspection) {
  own_files_.clear();
  host_files_.reset();
  other_spaces_.reset();
  file_locks_.reset();
  calls_.assign(inspection.threads.size(), {});
}

// What the registers and the kernel stack alone say.
void WaitFinder::start_wait(InspectedThread& thread, WaitCall& call) {
  call = wait_call_of(thread.record);
  Wait& wait = thread.wait.emplace();
  if (!thread.kernel_stack.empty())
    refine_by_kernel_stack(call, thread.kernel_stack, wait.detail, &thread.record);
  wait.kind = call.kind;
  wait.fd = call.fd;
  if (call.detail) wait.detail = wait.detail.empty() ? call.detail : call.detail + (": " + wait.detail);
  using Form = TimeoutSource::Form;
  if (call.timeout.form == Form::none) wait.bounded = false;
  if (call.timeout.form != Form::none && call.timeout.form != Form::unknown) wait.bounded = true;
  if (call.timeout.form == Form::value) wait.timeout_ns = call.timeout.ns;
  if (call.ipc_id >= 0) wait.object = "id " + std::to_string(call.ipc_id);
  if (!call.futex) return;
  wait.object = hexadecimal(call.futex->address);
  if (call.futex->operation != FutexOperation::waitv) wait.is_private = call.futex->is_private;
}

void WaitFinder::start_waits(Inspection& inspection) {
  begin(inspection);
  for (size_t i = 0; i < inspection.threads.size(); ++i)
    if (inspection.threads[i].blocked) start_wait(inspection.threads[i], calls_[i]);
}

// All words that are needed of the target, in one go, each once: many threads may wait for one object.
void WaitFinder::read_words(const Inspection& inspection, std::vector<Futex>& futexes,
                            std::vector<Times>& times) {
  std::vector<MemoryPiece> pieces;
  std::map<std::pair<uint64_t, uint32_t>, size_t> known;  // index of the piece by address and size
  std::vector<std::pair<std::span<const std::byte>*, size_t>> takers;
  uint64_t place = 0;
  auto want = [&](uint64_t address, uint32_t size, std::span<const std::byte>& taker) {
    auto [found, added] = known.try_emplace({address, size}, pieces.size());
    if (added) {
      pieces.push_back({address, size, 0, place});
      place += (size + 15) & ~15U;
    }
    takers.emplace_back(&taker, found->second);
  };
  constexpr uint64_t kRoom = SharedMemory::kSize - 4096;
  futexes.reserve(inspection.threads.size());
  times.reserve(inspection.threads.size());
  for (size_t i = 0; i < inspection.threads.size() && place < kRoom; ++i) {
    const InspectedThread& thread = inspection.threads[i];
    if (!thread.wait) continue;
    if (calls_[i].futex) {
      Futex& futex = futexes.emplace_back();
      futex.thread = i;
      const FutexWords words = words_for(shape_of(thread), *calls_[i].futex);
      if (words.size) want(words.address, words.size, futex.bytes);
    }
    if (calls_[i].timeout.address) {
      times.push_back({i, {}});
      want(calls_[i].timeout.address, 16, times.back().bytes);
    }
  }
  if (!opener_.read_memory(inspection.memory_tid, pieces)) return;
  for (const auto& [taker, index] : takers)
    *taker = std::span<const std::byte>(memory_.data() + pieces[index].place, pieces[index].got);
}

void WaitFinder::take_times(Inspection& inspection, const std::vector<Times>& times) {
  for (const Times& read : times) {
    const TimeoutSource& source = calls_[read.thread].timeout;
    Wait& wait = *inspection.threads[read.thread].wait;
    std::optional<uint64_t> ns = decode_time(source.form, read.bytes);
    if (!ns) continue;
    if (source.clock == TimeoutSource::Clock::relative) {
      wait.timeout_ns = *ns;
    } else {
      uint64_t now = now_of(source.clock);
      wait.timeout_left_ns = *ns > now ? *ns - now : 0;
    }
  }
}

void WaitFinder::examine(Inspection& inspection, const std::vector<Mapping>& mappings,
                         const std::vector<Futex>& futexes) {
  std::vector<PossibleOwner> owners;
  for (const InspectedThread& thread : inspection.threads)
    if (thread.record.exit_state == 0)
      owners.push_back({thread.record.id.tid, thread.ns_tid, thread.record.tls_base});
  OwnerTable table(owners);
  const FutexProcess process = futex_process(inspection, table);
  for (const Futex& futex : futexes) {
    InspectedThread& thread = inspection.threads[futex.thread];
    const FutexCall& call = *calls_[futex.thread].futex;
    FutexObject object = examine_futex(shape_of(thread), call, futex.bytes, process);
    thread.wait->kind = object.kind;
    if (!object.detail.empty()) thread.wait->detail = object.detail;
    if (thread.wait->detail.empty()) thread.wait->detail = to_string(call.operation);
    take_owner(thread, object, inspection, find_mapping(mappings, call.address));
  }
}

void WaitFinder::find(Inspection& inspection, const std::vector<Mapping>& mappings) {
  start_waits(inspection);
  std::vector<Futex> futexes;
  std::vector<Times> times;
  read_words(inspection, futexes, times);
  take_times(inspection, times);
  examine(inspection, mappings, futexes);
  confirm_ends(inspection, futexes);
  find_descriptors(inspection);
  find_children(inspection);
}

void WaitFinder::find_without_memory(Inspection& inspection) {
  start_waits(inspection);
  for (size_t i = 0; i < inspection.threads.size(); ++i)
    if (inspection.threads[i].wait && calls_[i].futex)
      inspection.threads[i].wait->holder.state = HolderState::unknown;
  find_descriptors(inspection);
  find_children(inspection);
}

namespace {

// What may change while the waiter sleeps and nothing of its process runs.
bool rests_on_others(const Wait& wait) {
  return wait.fd >= 0 || wait.kind == WaitKind::wait_child || wait.kind == WaitKind::vfork;
}

}  // namespace

bool WaitFinder::can_find_again(const Inspection& inspection) {
  return std::all_of(
      inspection.threads.begin(), inspection.threads.end(), [&](const InspectedThread& thread) {
        if (!thread.wait) return false;
        const Holder& holder = thread.wait->holder;
        const bool shared = thread.wait->kind == WaitKind::lock && !thread.wait->is_private.value_or(true);
        return rests_on_others(*thread.wait) ||
               (!shared && (holder.pid == 0 || holder.pid == inspection.pid));
      });
}

void WaitFinder::find_again(std::shared_ptr<Inspection>& inspection) {
  auto needs = [](const InspectedThread& thread) { return thread.wait && rests_on_others(*thread.wait); };
  if (std::none_of(inspection->threads.begin(), inspection->threads.end(), needs)) return;
  // Answers under way still read it. Those that do not any more have let go of it, which this must see.
  if (inspection.use_count() > 1)
    inspection = std::make_shared<Inspection>(*inspection);
  else
    std::atomic_thread_fence(std::memory_order_acquire);
  const uint64_t elapsed_ns = monotonic_now_ns() - inspection->mono_ns;
  inspection->mono_ns += elapsed_ns;
  begin(*inspection);
  for (size_t i = 0; i < inspection->threads.size(); ++i) {
    InspectedThread& thread = inspection->threads[i];
    if (needs(thread))
      start_wait(thread, calls_[i]);
    else if (thread.wait && thread.wait->timeout_left_ns)
      *thread.wait->timeout_left_ns -= std::min(*thread.wait->timeout_left_ns, elapsed_ns);
  }
  find_descriptors(*inspection);
  find_children(*inspection);
}

// wait4 for a given child, or for the only one there is.
void WaitFinder::find_children(Inspection& inspection) {
  for (size_t i = 0; i < inspection.threads.size(); ++i) {
    InspectedThread& thread = inspection.threads[i];
    if (!thread.wait) continue;
    Wait& wait = *thread.wait;
    if (wait.kind != WaitKind::wait_child && wait.kind != WaitKind::vfork) continue;
    std::vector<HostProcess> children = host_.children(inspection.pid);
    const auto& wish = calls_[i].child;
    const InspectedThread* leader = inspection.find(inspection.pid);
    bool same_numbers = leader && leader->ns_tid == inspection.pid;
    if (wish && wish->which == ChildWish::Which::pid) {
      wait.object = "pid " + std::to_string(wish->id);
      if (!same_numbers) continue;
      std::erase_if(children, [&](const HostProcess& child) { return child.pid != wish->id; });
    } else if (wish && wish->which != ChildWish::Which::any) {
      wait.object = "process group " + std::to_string(wish->id);
      continue;
    }
    if (wait.detail.empty() && wait.kind == WaitKind::wait_child && wait.object.empty())
      wait.detail = "any of " + std::to_string(children.size()) + " children";
    // The child of a vfork runs in its parent's memory until it execs or ends.
    if (wait.kind == WaitKind::vfork)
      std::erase_if(children, [&](const HostProcess& child) {
        return syscall(SYS_kcmp, inspection.pid, child.pid, kKcmpVm, 0, 0) != 0;
      });
    wait.holder.state = HolderState::unknown;
    if (children.size() != 1) continue;
    wait.holder = {HolderState::alive, 0, children.front().pid};
    if (wait.object.empty()) wait.object = "pid " + std::to_string(children.front().pid);
  }
}

}  // namespace loiter

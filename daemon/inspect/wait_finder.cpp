#include "daemon/inspect/wait_finder.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <map>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr int kKcmpVm = 1;              // KCMP_VM (linux/kcmp.h)
constexpr uint32_t kForkNoExec = 0x40;  // PF_FORKNOEXEC (include/linux/sched.h)
constexpr size_t kMaxMapsBytes = 24 << 20;

std::string hex(uint64_t address) {
  char text[18] = "0x";
  return {text, std::to_chars(text + 2, text + sizeof(text), address, 16).ptr};
}

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

struct WaitFinder::Futex {
  size_t thread = 0;  // index
  std::span<const std::byte> bytes;
};

struct WaitFinder::Times {
  size_t thread = 0;
  std::span<const std::byte> bytes;
};

void WaitFinder::begin(const Inspection& inspection) {
  own_files_.clear();
  host_files_.reset();
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
  wait.object = hex(call.futex->address);
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
      FutexWords words = words_for(thread.shape.value_or(FutexShape::unknown), *calls_[i].futex);
      if (words.size) want(words.address, words.size, futex.bytes);
    }
    if (calls_[i].timeout.address) {
      times.push_back({i, {}});
      want(calls_[i].timeout.address, 16, times.back().bytes);
    }
  }
  if (!opener_.read_memory(inspection.pid, pieces)) return;
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
  FutexProcess process;
  for (const InspectedThread& thread : inspection.threads) {
    if (thread.record.exit_state == 0)
      owners.push_back({thread.record.id.tid, thread.ns_tid, thread.record.tls_base});
    if (thread.record.id.tid == inspection.pid) {
      process.leader_ns_tid = thread.ns_tid;
      process.forked_without_exec = thread.record.task_flags & kForkNoExec;
    }
  }
  OwnerTable table(owners);
  process.owners = &table;
  for (const Futex& futex : futexes) {
    Wait& wait = *inspection.threads[futex.thread].wait;
    const FutexCall& call = *calls_[futex.thread].futex;
    FutexShape shape = inspection.threads[futex.thread].shape.value_or(FutexShape::unknown);
    FutexObject object = examine_futex(shape, call, futex.bytes, process);
    wait.kind = object.kind;
    if (!object.detail.empty()) wait.detail = object.detail;
    if (wait.detail.empty()) wait.detail = to_string(call.operation);
    wait.holder.state = object.holder;
    wait.holder.tid = object.owner_tid;
    if (object.owner_tid) wait.holder.pid = inspection.pid;
    if (object.holder == HolderState::ended)
      wait.holder = {object.holder, object.owner_ns_tid, inspection.pid};
    if (object.holder == HolderState::inherited) {
      wait.holder.tid = object.owner_ns_tid;
      std::optional<HostProcess> own = host_.process(inspection.pid);
      std::optional<uint32_t> owners = host_.process_of_thread(object.owner_ns_tid);
      if (own && owners && *owners == own->parent_pid) wait.holder.pid = *owners;
    }
    if (object.holder == HolderState::unknown && object.owner_ns_tid)
      look_for_foreign_owner(wait, object, inspection, find_mapping(mappings, call.address));
  }
}

// The threads of the host that bear that number in the pid namespace of the process: one, if any.
std::vector<WaitFinder::Owner> WaitFinder::owners_by_ns_tid(const Inspection& inspection, uint32_t ns_tid) {
  const InspectedThread* leader = inspection.find(inspection.pid);
  if (leader && leader->ns_tid == inspection.pid) {
    std::optional<uint32_t> pid = host_.process_of_thread(ns_tid);
    if (!pid) return {};
    return {{*pid, ns_tid}};
  }
  auto space = [&](uint32_t pid) { return opener_.read_link("/proc/" + std::to_string(pid) + "/ns/pid"); };
  auto own = space(inspection.pid);
  std::vector<Owner> owners;
  if (!own) return owners;
  for (const HostProcess& process : host_.processes()) {
    auto theirs = space(process.pid);
    if (!theirs || *theirs != *own) continue;
    auto details = tasks_.details(process.pid, LOITER_KERNEL_STACKS_NONE);
    if (!details) continue;
    for (const TaskDetail& detail : *details)
      if (detail.ns_tid == ns_tid) owners.push_back({process.pid, detail.tid});
  }
  return owners;
}

bool WaitFinder::maps_same_file(uint32_t pid, const Mapping& mapping) {
  auto maps = opener_.read_file("/proc/" + std::to_string(pid) + "/maps", kMaxMapsBytes);
  if (!maps) return false;
  std::vector<Mapping> theirs = parse_maps(*maps);
  return std::any_of(theirs.begin(), theirs.end(), [&](const Mapping& other) {
    return other.inode == mapping.inode && other.device_major == mapping.device_major &&
           other.device_minor == mapping.device_minor;
  });
}

// A lock shared between processes, whose owner is not of this one: believed where a thread bears that number,
// and its process has the same file mapped.
void WaitFinder::look_for_foreign_owner(Wait& wait, const FutexObject& object, const Inspection& inspection,
                                        const Mapping* mapping) {
  if (!mapping || mapping->inode == 0) return;
  std::vector<Owner> owners = owners_by_ns_tid(inspection, object.owner_ns_tid);
  if (owners.empty()) {
    wait.holder = {HolderState::ended, object.owner_ns_tid, 0};
    return;
  }
  if (owners.size() == 1 && maps_same_file(owners.front().pid, *mapping))
    wait.holder = {HolderState::alive, owners.front().tid, owners.front().pid};
}

void WaitFinder::find(Inspection& inspection, const std::vector<Mapping>& mappings) {
  start_waits(inspection);
  std::vector<Futex> futexes;
  std::vector<Times> times;
  read_words(inspection, futexes, times);
  take_times(inspection, times);
  examine(inspection, mappings, futexes);
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

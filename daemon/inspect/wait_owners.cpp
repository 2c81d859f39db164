// The part of WaitFinder that knows owners of locks: whether the thread that a word names is the one that
// took it, also in another process, and whether one that is gone is really gone.
#include <algorithm>

#include "daemon/inspect/wait_finder.h"

namespace loiter {
namespace {

constexpr uint32_t kForkNoExec = 0x40;  // PF_FORKNOEXEC (include/linux/sched.h)
constexpr size_t kMaxMapsBytes = 24 << 20;
// A thread that is younger than a wait may have taken the lock all the same, ahead of those that waited; but
// each unlock wakes one of them, so not for long. Numbers come again only after all others were in use.
constexpr uint64_t kBargingNs = 1'000'000'000;

bool is_gone(HolderState state) {
  return state == HolderState::ended || state == HolderState::inherited;
}

bool has_own_numbers(const Inspection& inspection) {
  const InspectedThread* leader = inspection.find(inspection.pid);
  return !leader || leader->ns_tid != inspection.pid;
}

}  // namespace

FutexProcess WaitFinder::futex_process(const Inspection& inspection, const OwnerTable& owners) {
  FutexProcess process{.owners = &owners};
  if (const InspectedThread* leader = inspection.find(inspection.pid)) {
    process.leader_ns_tid = leader->ns_tid;
    process.forked_without_exec = leader->record.task_flags & kForkNoExec;
  }
  return process;
}

void WaitFinder::take_owner(InspectedThread& thread, const FutexObject& object, const Inspection& inspection,
                            const Mapping* mapping) {
  Wait& wait = *thread.wait;
  wait.holder = {object.holder, object.owner_tid, object.owner_tid ? inspection.pid : 0};
  const bool in_file = mapping && mapping->inode != 0;
  if (object.is_shared && object.owner_ns_tid && in_file && is_shared_by_spaces(inspection.pid, *mapping)) {
    wait.holder = {HolderState::unknown};
    wait.detail += ", in memory that several pid namespaces share: whose number its owner's is, is not known";
    return;
  }
  const InspectedThread* owner = object.owner_tid ? inspection.find(object.owner_tid) : nullptr;
  if (owner && wait.kind == WaitKind::lock && is_of_before(thread, *owner, inspection.pid)) {
    wait.holder = {HolderState::unknown};
    wait.detail += ", whose owner's number is by now that of a thread younger than the wait";
    return;
  }
  if (is_gone(object.holder))
    take_former_owner(wait, object, inspection.pid, !has_own_numbers(inspection));
  else if (object.holder == HolderState::unknown && object.owner_ns_tid && in_file)
    look_for_foreign_owner(wait, object, inspection, *mapping);
}

// A thread of the parent that lives held it at the fork, whatever the order of numbers seems to say.
void WaitFinder::take_former_owner(Wait& wait, const FutexObject& object, uint32_t pid, bool same_numbers) {
  wait.holder = {object.holder, object.owner_ns_tid, object.holder == HolderState::ended ? pid : 0};
  if (!same_numbers || !object.owner_ns_tid || !object.is_forked) return;
  const std::optional<HostProcess> own = host_.process(pid);
  const std::optional<uint32_t> owners = host_.process_of_thread(object.owner_ns_tid);
  if (own && owners && *owners == own->parent_pid)
    wait.holder = {HolderState::inherited, object.owner_ns_tid, *owners};
}

// The thread with the owner's number was born so long after the wait began that it cannot be the one.
bool WaitFinder::is_of_before(const InspectedThread& waiter, const InspectedThread& owner,
                              uint32_t pid) const {
  const loiter_thread& record = waiter.record;
  if (owner.record.id.start_boot_ns <= record.id.start_boot_ns) return false;
  const std::optional<uint64_t> since = host_.blocked_since(
      pid, record.id.tid, record.id.start_boot_ns, record.voluntary_switches + record.involuntary_switches);
  return since && owner.record.id.start_boot_ns > *since + kBargingNs;
}

// The threads of the host that bear that number in the pid namespace of the process: one, if any.
std::vector<WaitFinder::Owner> WaitFinder::owners_by_ns_tid(const Inspection& inspection, uint32_t ns_tid) {
  if (!has_own_numbers(inspection)) {
    std::optional<uint32_t> pid = host_.process_of_thread(ns_tid);
    if (!pid) return {};
    return {{*pid, ns_tid}};
  }
  auto own = pid_space(inspection.pid);
  std::vector<Owner> owners;
  if (!own) return owners;
  for (const HostProcess& process : host_.processes()) {
    if (pid_space(process.pid) != own) continue;
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

std::optional<std::string> WaitFinder::pid_space(uint32_t pid) {
  auto link = opener_.read_link("/proc/" + std::to_string(pid) + "/ns/pid");
  if (!link) return std::nullopt;
  return *link;
}

// A number in memory that processes of several pid namespaces share may be of any of them.
bool WaitFinder::is_shared_by_spaces(uint32_t pid, const Mapping& mapping) {
  if (!other_spaces_) {
    other_spaces_.emplace();
    const auto own = pid_space(pid);
    for (const HostProcess& process : host_.processes()) {
      const auto theirs = process.pid == pid ? own : pid_space(process.pid);
      if (theirs && theirs != own) other_spaces_->push_back(process.pid);
    }
  }
  return std::any_of(other_spaces_->begin(), other_spaces_->end(),
                     [&](uint32_t other) { return maps_same_file(other, mapping); });
}

// A lock shared between processes, whose owner is not of this one: believed where a thread bears that number,
// and its process has the same file mapped.
void WaitFinder::look_for_foreign_owner(Wait& wait, const FutexObject& object, const Inspection& inspection,
                                        const Mapping& mapping) {
  std::vector<Owner> owners = owners_by_ns_tid(inspection, object.owner_ns_tid);
  if (owners.empty()) {
    // One that was born since the last census is not known of yet.
    if (!has_own_numbers(inspection) && pid_space(object.owner_ns_tid)) return;
    wait.holder = {HolderState::ended, object.owner_ns_tid, 0};
    return;
  }
  if (owners.size() == 1 && maps_same_file(owners.front().pid, mapping))
    wait.holder = {HolderState::alive, owners.front().tid, owners.front().pid};
}

// The threads of the process as they are by now; nothing where that cannot be told.
std::optional<std::vector<PossibleOwner>> WaitFinder::owners_now(uint32_t pid) {
  Census census;
  if (!tasks_.read(pid, census)) return std::nullopt;
  auto details = tasks_.details(pid, LOITER_KERNEL_STACKS_NONE);
  if (!details) return std::nullopt;
  std::vector<PossibleOwner> owners;
  auto detail = details->begin();
  for (const loiter_thread& record : census.threads) {
    while (detail != details->end() && detail->tid < record.id.tid) ++detail;
    if (record.exit_state != 0) continue;
    PossibleOwner& owner = owners.emplace_back(PossibleOwner{record.id.tid, record.id.tid, record.tls_base});
    if (detail != details->end() && detail->tid == owner.tid && detail->ns_tid) owner.ns_tid = detail->ns_tid;
  }
  return owners;
}

// An owner that is no thread of the process may as well have been born since its threads were read. Gone is
// one that the word names before and after they are read again without it.
void WaitFinder::confirm_ends(Inspection& inspection, const std::vector<Futex>& futexes) {
  std::vector<const Futex*> doubtful;
  std::vector<MemoryPiece> pieces;
  uint64_t place = 0;
  for (const Futex& futex : futexes) {
    if (!is_gone(inspection.threads[futex.thread].wait->holder.state)) continue;
    const FutexWords words =
        words_for(shape_of(inspection.threads[futex.thread]), *calls_[futex.thread].futex);
    doubtful.push_back(&futex);
    pieces.push_back({words.address, words.size, 0, place});
    place += (words.size + 15) & ~15U;
  }
  if (doubtful.empty()) return;
  const std::optional<std::vector<PossibleOwner>> owners = owners_now(inspection.pid);
  const bool are_there = owners && opener_.read_memory(inspection.memory_tid, pieces);
  const OwnerTable table(owners ? *owners : std::vector<PossibleOwner>());
  const FutexProcess process = futex_process(inspection, table);
  for (size_t i = 0; i < doubtful.size(); ++i) {
    const size_t thread = doubtful[i]->thread;
    Holder& holder = inspection.threads[thread].wait->holder;
    const std::span<const std::byte> bytes(memory_.data() + pieces[i].place, pieces[i].got);
    const FutexObject again =
        examine_futex(shape_of(inspection.threads[thread]), *calls_[thread].futex, bytes, process);
    const bool same = again.holder != HolderState::alive && again.owner_ns_tid == holder.tid;
    if (!are_there || !same) holder = {HolderState::unknown};
  }
}

}  // namespace loiter

#include "daemon/detect/case.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace loiter {
namespace {

uint64_t index_of(uint32_t pid, uint32_t tid) {
  return uint64_t{pid} << 32 | tid;
}

// Of a process, in no particular order; null: it has none with that tid.
const ThreadView* find_thread(const ProcessView& process, uint32_t tid) {
  auto found = std::find_if(process.threads.begin(), process.threads.end(),
                            [&](const ThreadView& thread) { return thread.key.tid == tid; });
  return found == process.threads.end() ? nullptr : &*found;
}

void add_stack(FindingThread& to, const SeenThread& seen) {
  const Inspection& inspection = *seen.inspection;
  to.stack.clear();
  to.cut = seen.thread->cut;
  if (!seen.thread->stack || *seen.thread->stack >= inspection.stacks.stacks.size()) return;
  for (uint32_t index : inspection.stacks.stacks[*seen.thread->stack].places) {
    const CodePlace& place = inspection.stacks.places[index];
    auto module = inspection.modules.find(place.module);
    for (const CodeLine& line : place.lines)
      to.stack.push_back({.symbol = line.symbol,
                          .module = module == inspection.modules.end() ? "" : module->second,
                          .offset = place.module ? place.offset : place.pc,
                          .file = line.file,
                          .line = line.line,
                          .inlined = line.inlined});
  }
}

void add_routine(FindingThread& to, const SeenThread& seen) {
  std::optional<SiteFrame> frame = seen.inspection->routine_frame(seen.thread->routine);
  if (!frame) return;
  to.routine = std::move(frame);
  to.callable = seen.inspection->routines[*seen.thread->routine].callable;
}

}  // namespace

HostCase::HostCase(const Snapshot& snapshot, const Waits& waits, const Thresholds& thresholds)
    : snapshot_(snapshot), waits_(waits), thresholds_(thresholds) {
  for (const ProcessView& process : snapshot_.processes) {
    if (process.ended_boot_ns || !waits_.knows(process.key.tid)) continue;
    for (const ThreadView& thread : process.threads)
      if (const SeenThread seen = waits_.find(process.key.tid, thread)) add(process, thread, seen);
  }
  add_edges();
  next_.reserve(threads_.size());
  for (const CaseThread& thread : threads_) next_.push_back(thread.next);
  roots_ = find_wait_roots(next_);
}

size_t HostCase::add(const ProcessView& process, const ThreadView& thread, const SeenThread& seen) {
  auto [entry, added] = index_.try_emplace(index_of(process.key.tid, thread.key.tid), threads_.size());
  if (added) threads_.push_back({.process = &process, .thread = &thread, .seen = seen});
  return entry->second;
}

void HostCase::add_edges() {
  const size_t waiting = threads_.size();
  for (size_t i = 0; i < waiting; ++i) {
    const WaitEdge* edge = threads_[i].seen.edge;
    if (!edge || edge->to_tid == 0) continue;
    if (size_t known = find(edge->to_pid, edge->to_tid); known != kWaitsForNobody) {
      threads_[i].next = known;
      continue;
    }
    // It ran when it was looked at, or has run since: it may have given back what it held, unless the look
    // was just now.
    if (threads_[i].seen.inspection->mono_ns < snapshot_.begin_mono_ns) continue;
    const ProcessView* process = snapshot_.find(edge->to_pid);
    const ThreadView* thread =
        process && !process->ended_boot_ns ? find_thread(*process, edge->to_tid) : nullptr;
    if (!thread) continue;
    const size_t added = add(*process, *thread, {});
    threads_[i].next = added;
  }
}

size_t HostCase::find(uint32_t pid, uint32_t tid) const {
  auto found = index_.find(index_of(pid, tid));
  return found == index_.end() ? kWaitsForNobody : found->second;
}

FindingProcess finding_process(const ProcessView& process) {
  return {.key = process.key,
          .parent_pid = process.parent_pid,
          .uid = process.uid,
          .kernel = process.kernel,
          .comm = std::string(process.comm.view()),
          .exe = process.exe,
          .cgroup = process.cgroup};
}

FindingThread finding_thread(const ProcessView& process, const ThreadView& thread) {
  FindingThread made{.pid = process.key.tid,
                     .key = thread.key,
                     .name = std::string(thread.name.view()),
                     .comm = std::string(process.comm.view()),
                     .state = thread.state,
                     .switches = thread.voluntary_switches + thread.involuntary_switches,
                     .syscall = thread.syscall,
                     .compat = thread.compat,
                     .blocked_ns = thread.blocked_ns,
                     .blocked_max_ns = thread.blocked_max_ns,
                     .exactness = thread.exactness};
  made.creator = thread.creator;
  if (const CreationSite* site =
          process.origins && thread.site ? process.origins->find(thread.site) : nullptr)
    made.site = site->stack;
  return made;
}

namespace {

void fill(FindingThread& to, const SeenThread& seen) {
  if (seen.thread->wait) to.wait = *seen.thread->wait;
  add_stack(to, seen);
  add_routine(to, seen);
}

}  // namespace

FindingThread finding_thread(const CaseThread& of) {
  FindingThread made = finding_thread(*of.process, *of.thread);
  if (of.seen) fill(made, of.seen);
  return made;
}

void fill_from(FindingThread& thread, const Inspection& inspection) {
  const InspectedThread* seen = inspection.find(thread.key.tid);
  if (seen && seen->blocked && seen->record.id.start_boot_ns == thread.key.start_boot_ns &&
      seen->record.voluntary_switches + seen->record.involuntary_switches == thread.switches)
    fill(thread, {&inspection, seen, nullptr});
  else
    thread.cut = seen ? "it ran before its stack was read" : "it ended before its stack was read";
}

void add_member(Finding& finding, uint32_t pid, const TaskKey& thread) {
  if (thread.tid != 0 && thread.start_boot_ns != 0 && finding.members.size() < kMostFindingMembers)
    finding.members.push_back({pid, thread.tid, thread.start_boot_ns});
}

void add_member(Finding& finding, const CaseThread& thread) {
  add_member(finding, thread.process->key.tid, thread.thread->key);
}

void add_threads(Finding& finding, const HostCase& host, std::vector<size_t> nodes) {
  const size_t room = kMostFindingThreads - std::min(kMostFindingThreads, finding.threads.size());
  const auto age = [&](size_t node) { return host.threads()[node].thread->blocked_ns.value_or(0); };
  const auto end = nodes.begin() + static_cast<std::ptrdiff_t>(std::min(room, nodes.size()));
  std::partial_sort(nodes.begin(), end, nodes.end(),
                    [&](size_t a, size_t b) { return age(a) != age(b) ? age(a) > age(b) : a < b; });
  for (auto node = nodes.begin(); node != end; ++node)
    finding.threads.push_back(finding_thread(host.threads()[*node]));
  for (auto node = end; node != nodes.end(); ++node) add_member(finding, host.threads()[*node]);
}

void add_threads_of_site(Finding& finding, const HostCase& host, const ProcessView& process, uint32_t site) {
  std::vector<const ThreadView*> threads;
  for (const ThreadView& thread : process.threads)
    if (thread.site == site && thread.key != process.key) threads.push_back(&thread);
  const size_t room = kMostFindingThreads - std::min(kMostFindingThreads, finding.threads.size());
  const auto end = threads.begin() + static_cast<std::ptrdiff_t>(std::min(threads.size(), room));
  std::partial_sort(threads.begin(), end, threads.end(), [](const ThreadView* a, const ThreadView* b) {
    const std::pair left(b->blocked_ns.value_or(0), a->key.tid);
    return left < std::pair(a->blocked_ns.value_or(0), b->key.tid);
  });
  for (auto thread = threads.begin(); thread != end; ++thread) {
    const size_t node = host.find(process.key.tid, (*thread)->key.tid);
    finding.threads.push_back(node == kWaitsForNobody ? finding_thread(process, **thread)
                                                      : finding_thread(host.threads()[node]));
  }
  for (auto thread = end; thread != threads.end(); ++thread)
    add_member(finding, process.key.tid, (*thread)->key);
}

std::string name_of(const CaseThread& of) {
  return "thread " + std::to_string(of.thread->key.tid) + " (" + std::string(of.thread->name.view()) +
         ") of process " + std::to_string(of.process->key.tid) + " (" + std::string(of.process->comm.view()) +
         ")";
}

// FNV-1a over what it is made of, which is the same for as long as the process lives.
std::string finding_id(FindingKind kind, const TaskKey& process, const std::vector<TaskKey>& threads,
                       const std::string& cause) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](const void* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i)
      hash = (hash ^ static_cast<const unsigned char*>(bytes)[i]) * 0x100000001b3;
  };
  const auto mix_number = [&](uint64_t number) { mix(&number, sizeof(number)); };
  std::vector<TaskKey> sorted = threads;
  std::sort(sorted.begin(), sorted.end(), [](const TaskKey& a, const TaskKey& b) {
    return std::pair(a.tid, a.start_boot_ns) < std::pair(b.tid, b.start_boot_ns);
  });
  mix_number(process.start_boot_ns);
  for (const TaskKey& thread : sorted) {
    mix_number(thread.tid);
    mix_number(thread.start_boot_ns);
  }
  mix(cause.data(), cause.size());
  std::array<char, 96> text{};
  const int length = snprintf(text.data(), text.size(), "%s-%u-%016llx", to_string(kind), process.tid,
                              static_cast<unsigned long long>(hash));
  return {text.data(), static_cast<size_t>(length)};
}

bool must_end(WaitKind kind) {
  switch (kind) {
    case WaitKind::lock:
    case WaitKind::barrier:
    case WaitKind::file_lock:
    case WaitKind::write:
    case WaitKind::connect:
    case WaitKind::disk:
    case WaitKind::page_fault:
    case WaitKind::vfork:  // which ends with the exec
      return true;
    default:
      return false;
  }
}

}  // namespace loiter

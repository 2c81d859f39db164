#include "daemon/inspect/look.h"

#include <algorithm>
#include <iterator>

#include "daemon/base/clock.h"
#include "daemon/inspect/sleeping.h"

namespace loiter {
namespace {

constexpr const char* kHungBefore = "reading this process hung a moment ago: it is left alone for a minute";

constexpr size_t kMaxMapsBytes = 24 << 20;
constexpr uint64_t kLeaveAloneNs = 60'000'000'000;  // who made the opener hang would do so again

}  // namespace

Result<std::unique_ptr<Looker>> Looker::make(const HostLookup& host, const std::atomic<bool>& cancel) {
  auto memory = SharedMemory::make();
  if (!memory) return memory.error();
  auto reader = TaskReader::open();
  if (!reader) return reader.error();
  return std::unique_ptr<Looker>(new Looker(host, cancel, std::move(*memory), std::move(*reader)));
}

Looker::Looker(const HostLookup& host, const std::atomic<bool>& cancel, SharedMemory memory,
               std::unique_ptr<TaskReader> reader)
    : host_(host),
      memory_(std::move(memory)),
      opener_(memory_, cancel),
      parser_(memory_, cancel),
      modules_(opener_, parser_),
      stacks_(memory_, opener_, parser_, modules_),
      shapes_(memory_, opener_, stacks_),
      layouts_(memory_, opener_, parser_, modules_),
      pthreads_(memory_, opener_),
      routines_(memory_, opener_, parser_, modules_),
      probes_(opener_, parser_, modules_),
      origins_(memory_, opener_, modules_, stacks_, layouts_),
      reader_(std::move(reader)),
      waits_(memory_, opener_, *reader_, host_) {}

bool Looker::read_threads(const LookWish& wish, Inspection& inspection) {
  if (Status read = reader_->read(wish.pid, census_); !read) {
    inspection.failure = read.error().message;
    inspection.gone = true;
    return false;
  }
  inspection.threads.reserve(census_.threads.size());
  for (const loiter_thread& record : census_.threads) {
    if (record.id.tid == record.id.tgid) inspection.start_boot_ns = record.id.start_boot_ns;
    InspectedThread& thread = inspection.threads.emplace_back();
    thread.record = record;
    thread.ns_tid = record.id.tid;
    thread.blocked = sleeps(record);
    if (!thread.blocked) thread.cut = record.exit_state ? "it has ended" : "it is running";
  }
  const InspectedThread* leader = inspection.find(wish.pid);
  inspection.memory_tid = wish.pid;
  if (leader && leader->record.exit_state != 0)
    for (const InspectedThread& thread : inspection.threads)
      if (thread.record.exit_state == 0) inspection.memory_tid = thread.record.id.tid;
  bool another =
      wish.start_boot_ns && inspection.start_boot_ns && inspection.start_boot_ns != wish.start_boot_ns;
  if (another) inspection.threads.clear();
  inspection.gone = inspection.threads.empty();
  return !inspection.gone;
}

// Most processes number their threads as the host does, and none sleeps uninterruptibly.
bool Looker::wants_details(const LookWish& wish, const Inspection& inspection) {
  static constexpr uint32_t kUninterruptible = 2;  // TASK_UNINTERRUPTIBLE (include/linux/sched.h)
  constexpr size_t kMaxStatusBytes = 64 << 10;
  if (wish.kernel_stacks) return true;
  bool hard =
      std::any_of(inspection.threads.begin(), inspection.threads.end(),
                  [](const InspectedThread& thread) { return thread.record.state & kUninterruptible; });
  if (hard) return true;
  auto status = opener_.read_file("/proc/" + std::to_string(wish.pid) + "/status", kMaxStatusBytes);
  if (!status) return true;
  // "NSpid:" and its number in each pid namespace from that of /proc inwards.
  size_t at = status->find("\nNSpid:\t");
  if (at == status->npos) return true;
  size_t end = status->find('\n', at + 1);
  return status->substr(at + 8, end - at - 8).find('\t') != std::string::npos;
}

void Looker::read_details(const LookWish& wish, Inspection& inspection) {
  auto details = reader_->details(
      wish.pid, wish.kernel_stacks ? LOITER_KERNEL_STACKS_ALL : LOITER_KERNEL_STACKS_BLOCKED_HARD);
  if (!details) return;
  auto detail = details->begin();
  for (InspectedThread& thread : inspection.threads) {
    while (detail != details->end() && detail->tid < thread.record.id.tid) ++detail;
    if (detail == details->end()) break;
    if (detail->tid != thread.record.id.tid) continue;
    if (detail->ns_tid) thread.ns_tid = detail->ns_tid;
    thread.kernel_stack = std::move(detail->kernel_stack);
  }
}

void Looker::take_stacks(const LookWish& wish, const std::vector<Mapping>& mappings, Inspection& inspection) {
  std::vector<const loiter_regs*> regs;
  std::vector<InspectedThread*> whose;
  for (InspectedThread& thread : inspection.threads) {
    if (!thread.blocked || !(thread.record.marks & LOITER_MARK_REGS)) continue;
    if (wish.tid && thread.record.id.tid != *wish.tid) continue;
    if (thread.record.marks & LOITER_MARK_COMPAT) {
      thread.cut = "stacks of 32-bit programs are not read";
      continue;
    }
    regs.push_back(&thread.record.regs);
    whose.push_back(&thread);
  }
  if (regs.empty()) return;
  StackWish stack_wish{.pid = inspection.memory_tid, .with_lines = wish.with_lines};
  if (auto leader = inspection.find(wish.pid))
    stack_wish.perf_map = modules_.perf_map(inspection.memory_tid, leader->ns_tid, leader->record.uid);
  auto stacks = stacks_.take(stack_wish, mappings, regs);
  if (!stacks) {
    for (InspectedThread* thread : whose) thread->cut = stacks.error().message;
    return;
  }
  inspection.stacks = std::move(*stacks);
  for (size_t i = 0; i < whose.size(); ++i) {
    whose[i]->stack = static_cast<uint32_t>(i);
    Cut cut = inspection.stacks.stacks[i].cut;
    if (cut != Cut::none) whose[i]->cut = to_string(cut);
  }
}

// Who was told as alive may have ended since, with the lock or without.
void Looker::forget_ended_holder(InspectedThread& thread) const {
  if (!thread.wait || thread.wait->holder.state != HolderState::alive) return;
  Holder& holder = thread.wait->holder;
  if (holder.pid != thread.record.id.tgid || holder.tid == 0) return;
  auto found =
      std::lower_bound(census_.threads.begin(), census_.threads.end(), holder.tid,
                       [](const loiter_thread& record, uint32_t tid) { return record.id.tid < tid; });
  if (found == census_.threads.end() || found->id.tid != holder.tid || found->exit_state != 0)
    holder = {HolderState::unknown};
}

// After the last read of the target: who ran meanwhile, or is another one now, is not believed.
void Looker::check_again(Inspection& inspection) {
  bool read = static_cast<bool>(reader_->read(inspection.pid, census_));
  size_t at = 0;
  for (InspectedThread& thread : inspection.threads) {
    while (read && at < census_.threads.size() && census_.threads[at].id.tid < thread.record.id.tid) ++at;
    bool there = read && at < census_.threads.size() && census_.threads[at].id.tid == thread.record.id.tid;
    if (!there || !same_thread(thread.record, census_.threads[at])) thread.routine.reset();
    if (!thread.blocked) continue;
    if (there && same_sleep(thread.record, census_.threads[at])) {
      forget_ended_holder(thread);
      continue;
    }
    thread.blocked = false;
    thread.wait.reset();
    thread.stack.reset();
    thread.cut = there ? "it ran while it was read" : "it ended while it was read";
  }
  check_pthreads(inspection, read);
}

void Looker::name_modules(Inspection& inspection) const {
  for (const CodePlace& place : inspection.stacks.places)
    if (place.module) inspection.modules.try_emplace(place.module, modules_.name(place.module));
  for (const StartRoutine& routine : inspection.routines)
    if (routine.module) inspection.modules.try_emplace(routine.module, modules_.name(routine.module));
}

// The look before, as long as all threads still sleep in what they slept in then.
InspectionPtr Looker::recall(const LookWish& wish) {
  auto found = kept_.find(wish.pid);
  if (wish.stacks || wish.kernel_stacks || wish.pthreads || found == kept_.end() || !found->second.last)
    return nullptr;
  std::shared_ptr<Inspection>& last = found->second.last;
  if (!WaitFinder::can_find_again(*last)) return nullptr;
  std::optional<HostThreads> now = host_.threads(wish.pid);
  if (!now || now->mono_ns < wish.asked_mono_ns) return nullptr;
  bool same = std::equal(last->threads.begin(), last->threads.end(), now->threads.begin(), now->threads.end(),
                         [](const InspectedThread& before, const HostThread& thread) {
                           return before.blocked && thread.blocked && before.record.id.tid == thread.tid &&
                                  before.record.id.start_boot_ns == thread.start_boot_ns &&
                                  switches(before.record) == thread.switches;
                         });
  if (!same) return nullptr;
  found->second.used = ++looks_;
  waits_.find_again(last);
  return last;
}

void Looker::find_shapes(const std::vector<Mapping>& mappings, Inspection& inspection) {
  Kept& kept = kept_[inspection.pid];
  std::vector<Mapping> code = code_of(mappings);
  if (code != kept.code) {
    kept = {};
    kept.code = std::move(code);
  }
  for (InspectedThread& thread : inspection.threads) {
    const InspectedThread* before = kept.last ? kept.last->find(thread.record.id.tid) : nullptr;
    if (before && before->blocked && thread.blocked && same_sleep(before->record, thread.record))
      thread.shape = before->shape;
  }
  shapes_.find(inspection, mappings, kept.memo);
}

// Bounded in threads: each is some 600 bytes.
void Looker::keep(const std::shared_ptr<Inspection>& inspection) {
  constexpr size_t kMostThreads = 40'000;
  constexpr size_t kMostProcesses = 256;
  Kept& kept = kept_[inspection->pid];
  kept.used = ++looks_;
  kept.last = inspection->failure.empty() ? inspection : nullptr;
  auto threads = [&] {
    size_t count = 0;
    for (const auto& [pid, of] : kept_) count += of.last ? of.last->threads.size() : 0;
    return count;
  };
  while (kept_.size() > 1 && (kept_.size() > kMostProcesses || threads() > kMostThreads))
    kept_.erase(std::min_element(kept_.begin(), kept_.end(),
                                 [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

bool Looker::is_hung(const Inspection& inspection) {
  auto found = hung_until_.find({inspection.pid, inspection.start_boot_ns});
  if (found == hung_until_.end()) return false;
  if (found->second > monotonic_now_ns()) return true;
  hung_until_.erase(found);
  return false;
}

std::vector<Mapping> Looker::read_maps(Inspection& inspection) {
  auto maps = opener_.read_file("/proc/" + std::to_string(inspection.memory_tid) + "/maps", kMaxMapsBytes);
  if (maps) return parse_maps(*maps);
  inspection.failure = "its memory map: " + maps.error().message;
  return {};
}

// `restarts`: of the opener before the look. It has been replaced since: this process made it hang.
void Looker::note_hang(const Inspection& inspection, uint64_t restarts) {
  if (opener_.restarts() != restarts)
    hung_until_[{inspection.pid, inspection.start_boot_ns}] = monotonic_now_ns() + kLeaveAloneNs;
}

void Looker::look_inside(const LookWish& wish, Inspection& inspection) {
  const std::vector<Mapping> mappings = read_maps(inspection);
  if (wish.pthreads) return read_pthreads(mappings, inspection);
  if (wish.stacks)
    take_stacks(wish, mappings, inspection);
  else
    find_shapes(mappings, inspection);
  ShapeFinder::find_by_stacks(inspection, mappings);
  waits_.find(inspection, mappings);
  find_routines(mappings, inspection);
}

InspectionPtr Looker::look(const LookWish& wish) {
  if (InspectionPtr before = recall(wish)) return before;
  auto inspection = std::make_shared<Inspection>();
  inspection->pid = wish.pid;
  if (!read_threads(wish, *inspection)) return inspection;
  if (wants_details(wish, *inspection)) read_details(wish, *inspection);
  uint64_t restarts = opener_.restarts();
  if (is_hung(*inspection)) {
    inspection->failure = kHungBefore;
    for (InspectedThread& thread : inspection->threads)
      if (thread.blocked) thread.cut = inspection->failure;
    waits_.find_without_memory(*inspection);
  } else {
    look_inside(wish, *inspection);
  }
  note_hang(*inspection, restarts);
  check_again(*inspection);
  name_modules(*inspection);
  inspection->mono_ns = monotonic_now_ns();
  if (!wish.stacks && !wish.pthreads) keep(inspection);
  return inspection;
}

// Those that were opened between two looks at what is mapped there, which agree.
void Looker::identify(uint32_t tid, const std::vector<loiter_mapped_file>& before,
                      ThreadLibraries& libraries) {
  const auto after = reader_->mapped_files(tid);
  if (!after) return;
  const auto inode_at = [](const std::vector<loiter_mapped_file>& files, uint64_t start) {
    const auto file = std::ranges::find(files, start, &loiter_mapped_file::start);
    return file == files.end() ? 0 : file->inode_id;
  };
  for (ThreadLibrary& library : libraries.libraries) {
    const uint64_t inode = inode_at(*after, library.mapped_at);
    if (inode && inode == inode_at(before, library.mapped_at)) library.id = {.inode_id = inode};
  }
}

InspectionPtr Looker::find_thread_libraries(const LookWish& wish, ThreadLibraries& libraries) {
  auto inspection = std::make_shared<Inspection>();
  inspection->pid = wish.pid;
  if (!read_threads(wish, *inspection)) return inspection;
  uint64_t restarts = opener_.restarts();
  if (is_hung(*inspection)) {
    inspection->failure = kHungBefore;
    return inspection;
  }
  const std::vector<Mapping> mappings = read_maps(*inspection);
  if (inspection->failure.empty()) {
    const auto before = reader_->mapped_files(inspection->memory_tid);
    libraries = probes_.find(inspection->memory_tid, mappings);
    if (before && !libraries.libraries.empty()) identify(inspection->memory_tid, *before, libraries);
    // It may have ended meanwhile: then that is all that is wrong.
    if (!reader_->read(wish.pid, census_) || census_.threads.empty()) inspection->gone = true;
  }
  note_hang(*inspection, restarts);
  return inspection;
}

}  // namespace loiter

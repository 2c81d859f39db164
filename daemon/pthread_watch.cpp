#include "daemon/pthread_watch.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr size_t kMostFailures = 64;      // told one by one; all are counted
constexpr size_t kMostLooksACensus = 64;  // at processes not seen before, host-wide

// Host-wide each process asks for them: what the kernel refuses is not tried for each.
constexpr uint64_t kRefusedNs = 1'000'000'000;

// A program that was just executed has not mapped its libraries yet: 0.6 s are enough for any.
constexpr uint32_t kMostTries = 5;
constexpr uint64_t kFirstDelayNs = 20'000'000;

}  // namespace

struct PthreadWatch::Job {
  enum class Kind : uint8_t { find, found, detach, unused };
  Kind kind{};
  uint32_t pid = 0;
  FileId library = {};  // that is unused
  InspectAnswerPtr answer = {};
  uint32_t tries = 0;        // before, that found no library
  uint64_t due_mono_ns = 0;  // not before
};

struct PthreadWatch::Target {
  size_t asked = 0;            // by so many
  uint64_t asked_boot_ns = 0;  // since
  uint64_t start_boot_ns = 0;
  std::map<FileId, PlacedProbes> placed;
};

PthreadWatch::PthreadWatch(Parts parts) : parts_(std::move(parts)) {}

PthreadWatch::~PthreadWatch() {
  stop();
}

void PthreadWatch::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  targets_.clear();
  host_wide_.clear();
}

// Mutex held.
void PthreadWatch::push(Job job) {
  if (stopping_) return;
  jobs_.push_back(std::move(job));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

Result<std::shared_ptr<PthreadProbes>> PthreadWatch::probes() {
  std::lock_guard opening(opening_);
  {
    std::lock_guard lock(mutex_);
    if (probes_) return probes_;
  }
  if (monotonic_now_ns() < refused_until_mono_ns_) return refused_;
  auto opened = PthreadProbes::open(parts_.probes);
  if (!opened) {
    refused_ = opened.error();
    refused_until_mono_ns_ = monotonic_now_ns() + kRefusedNs;
    return refused_;
  }
  std::lock_guard lock(mutex_);
  probes_ = *opened;
  return probes_;
}

Result<std::shared_ptr<void>> PthreadWatch::attach(uint32_t pid) {
  if (parts_.mode == UprobeMode::none)
    return Error{Error::Kind::unavailable, "uprobes are off: this loiterd was started with --uprobes none"};
  if (auto opened = probes(); !opened) {
    ProbeNote note{.pid = pid, .boot_ns = 0, .placed = {}, .failed = {}};
    fail(note, "", "", opened.error().message);
    return opened.error();
  }
  std::lock_guard lock(mutex_);
  Target& target = targets_[pid];
  if (++target.asked == 1) target.asked_boot_ns = boottime_now_ns();
  push({.kind = Job::Kind::find, .pid = pid});
  return std::shared_ptr<void>(this, [pid](void* watch) { static_cast<PthreadWatch*>(watch)->let_go(pid); });
}

void PthreadWatch::let_go(uint32_t pid) {
  std::lock_guard lock(mutex_);
  auto target = targets_.find(pid);
  if (target == targets_.end() || --target->second.asked > 0) return;
  push({.kind = Job::Kind::detach, .pid = pid});
}

void PthreadWatch::on_exec(uint32_t pid, uint64_t boot_ns) {
  std::lock_guard lock(mutex_);
  seen_.erase(pid);
  host_wide_.leave(pid, monotonic_now_ns());
  auto target = targets_.find(pid);
  if (target == targets_.end() || boot_ns < target->second.asked_boot_ns) return;
  // Another program; and where another thread than the first executed it, another task by that pid, which the
  // probes in place do not fit.
  push({.kind = Job::Kind::detach, .pid = pid});
  push({.kind = Job::Kind::find, .pid = pid});
}

void PthreadWatch::on_published(const Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  for (const auto& [pid, target] : targets_) {
    const ProcessView* process = target.start_boot_ns ? snapshot.find(pid) : nullptr;
    const bool gone =
        process && (process->ended_boot_ns || process->key.start_boot_ns != target.start_boot_ns);
    if (gone && !target.placed.empty()) push({.kind = Job::Kind::detach, .pid = pid});
  }
  if (parts_.mode != UprobeMode::all) return;
  forget_ended(snapshot);
  size_t looks = 0;
  for (const ProcessView& process : snapshot.processes) {
    if (process.kernel || process.key.start_boot_ns == 0 || looks >= kMostLooksACensus) continue;
    if (!seen_.try_emplace(process.key.tid, process.key.start_boot_ns).second) continue;
    push({.kind = Job::Kind::find, .pid = process.key.tid});
    ++looks;
  }
  if (looks >= kMostLooksACensus) return;  // others, which may use them, are still to be looked at
  for (const FileId& library : host_wide_.unused(monotonic_now_ns()))
    push({.kind = Job::Kind::unused, .library = library});
}

// Mutex held.
void PthreadWatch::forget_ended(const Snapshot& snapshot) {
  const uint64_t now = monotonic_now_ns();
  std::erase_if(seen_, [&](const auto& seen) {
    const ProcessView* process = snapshot.find(seen.first);
    const bool ended = !process || process->ended_boot_ns || process->key.start_boot_ns != seen.second;
    if (ended) host_wide_.leave(seen.first, now);
    return ended;
  });
}

bool PthreadWatch::drain(std::vector<Event>& events) {
  std::shared_ptr<PthreadProbes> probes;
  {
    std::lock_guard lock(mutex_);
    probes = probes_;
  }
  if (probes) probes->drain(events);
  return probes != nullptr;
}

std::vector<PthreadWatch::Change> PthreadWatch::take_changes() {
  std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

std::vector<LossCount> PthreadWatch::losses() const {
  std::lock_guard lock(mutex_);
  return probes_ ? probes_->losses() : std::vector<LossCount>();
}

UprobeStatus PthreadWatch::status() const {
  std::lock_guard lock(mutex_);
  UprobeStatus status;
  status.mode = parts_.mode;
  for (const auto& [pid, target] : targets_) {
    for (const auto& [file, placed] : target.placed) status.placed += placed.functions.size();
    if (!target.placed.empty()) status.processes.push_back(pid);
  }
  status.placed += host_wide_.functions();
  status.libraries = host_wide_.size();
  status.failed = failed_;
  for (const auto& [key, failure] : failures_) status.failures.push_back(failure);
  if (probes_) {
    status.maps = probes_->maps();
    status.way = probes_->way();
    status.names_left = probes_->names_left();
  }
  return status;
}

Result<UprobeCost> PthreadWatch::measure() {
  auto opened = probes();
  if (!opened) return opened.error();
  return (*opened)->measure();
}

// --- on the thread of its own ------------------------------------------------------------------------

void PthreadWatch::run() {
  pthread_setname_np(pthread_self(), "uprobes");
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      auto next = jobs_.end();
      while (!stopping_ && (next = next_due()) == jobs_.end()) await_due(lock);
      if (stopping_) return;
      job = std::move(*next);
      jobs_.erase(next);
    }
    carry_out(job);
  }
}

// The first that may be carried out by now. Mutex held.
std::deque<PthreadWatch::Job>::iterator PthreadWatch::next_due() {
  const uint64_t now = monotonic_now_ns();
  return std::ranges::find_if(jobs_, [&](const Job& job) { return job.due_mono_ns <= now; });
}

void PthreadWatch::await_due(std::unique_lock<std::mutex>& lock) {
  if (jobs_.empty()) return wake_.wait(lock);
  const uint64_t due = std::ranges::min_element(jobs_, {}, &Job::due_mono_ns)->due_mono_ns;
  const uint64_t now = monotonic_now_ns();
  wake_.wait_for(lock, std::chrono::nanoseconds(due > now ? due - now : 0));
}

void PthreadWatch::carry_out(Job& job) {
  switch (job.kind) {
    case Job::Kind::find:
      return find(job.pid, job.tries);
    case Job::Kind::found:
      return place(job);
    case Job::Kind::detach:
      return detach(job.pid);
    case Job::Kind::unused:
      return let_go(job.library);
  }
}

void PthreadWatch::find(uint32_t pid, uint32_t tries) {
  InspectRequest request{.kind = InspectRequest::Kind::thread_libraries, .pid = pid};
  parts_.find(request, [this, pid, tries](InspectAnswerPtr answer) {
    std::lock_guard lock(mutex_);
    push({.kind = Job::Kind::found, .pid = pid, .answer = std::move(answer), .tries = tries});
  });
}

void PthreadWatch::place(const Job& job) {
  auto opened = probes();
  const Inspection& inspection = *job.answer->inspection;
  const ThreadLibraries& found = job.answer->thread_libraries;
  ProbeNote note{.pid = job.pid, .boot_ns = 0, .placed = {}, .failed = {}};
  const std::string& failure = inspection.failure.empty() ? found.failure : inspection.failure;
  bool asked = false;
  {
    std::lock_guard lock(mutex_);
    auto target = targets_.find(job.pid);
    asked = target != targets_.end() && target->second.asked > 0;
  }
  if (inspection.gone || (!asked && parts_.mode != UprobeMode::all)) return;
  if (!opened) return fail(note, "", "", opened.error().message);
  if (found.libraries.empty() && job.tries < kMostTries) {
    std::lock_guard lock(mutex_);
    push({.kind = Job::Kind::find,
          .pid = job.pid,
          .tries = job.tries + 1,
          .due_mono_ns = monotonic_now_ns() + (kFirstDelayNs << job.tries)});
    return;
  }
  if (!failure.empty()) fail(note, "", "", failure);
  if (inspection.memory_tid != job.pid && parts_.mode != UprobeMode::all)
    fail(note, "", "", "its first thread has ended: the kernel finds its memory by that one alone");
  place_missing(job, asked, note);
}

// In those of its libraries that have none yet. All its calls are told since the last of them were placed: of
// a process that is younger than that, since it began.
void PthreadWatch::place_missing(const Job& job, bool asked, ProbeNote& note) {
  const bool host_wide = parts_.mode == UprobeMode::all;
  const Inspection& inspection = *job.answer->inspection;
  uint64_t since_boot_ns = host_wide ? inspection.start_boot_ns : boottime_now_ns();
  bool sees = false;
  for (const ThreadLibrary& library : job.answer->thread_libraries.libraries) {
    const auto find = [&]() -> const PlacedProbes* {
      if (host_wide) return host_wide_.find(library.id);
      auto target = targets_.find(job.pid);
      if (target == targets_.end()) return nullptr;
      auto known = target->second.placed.find(library.id);
      return known == target->second.placed.end() ? nullptr : &known->second;
    };
    if (!library.file) {  // another process may have better luck
      place_library(library, 0, note);
      continue;
    }
    std::unique_lock lock(mutex_);
    if (!find()) {
      lock.unlock();
      PlacedProbes placed = place_library(library, host_wide ? 0 : job.pid, note);
      lock.lock();
      if (host_wide)
        host_wide_.add(library.id, std::move(placed), monotonic_now_ns());
      else if (auto target = targets_.find(job.pid); target != targets_.end())
        target->second.placed[library.id] = std::move(placed);
    }
    const PlacedProbes* placed = find();
    if (!placed) continue;
    note.placed.insert(note.placed.end(), placed->functions.begin(), placed->functions.end());
    since_boot_ns = std::max(since_boot_ns, placed->boot_ns);
    sees = sees || !placed->links.empty();
    const auto seen = seen_.find(job.pid);
    if (seen != seen_.end() && seen->second == inspection.start_boot_ns) host_wide_.use(library.id, job.pid);
  }
  note.boot_ns = boottime_now_ns();
  {
    std::lock_guard lock(mutex_);
    if (auto target = targets_.find(job.pid); target != targets_.end())
      target->second.start_boot_ns = inspection.start_boot_ns;
    if (sees) changes_.push_back({job.pid, true, inspection.start_boot_ns, since_boot_ns});
  }
  if (asked && parts_.hub) parts_.hub->push_probes(note, WallClock::now());
}

// All at once; where the kernel refuses that, one by one, so that it is told which.
PlacedProbes PthreadWatch::place_library(const ThreadLibrary& library, uint32_t pid, ProbeNote& note) {
  PlacedProbes placed;
  for (const ThreadLibrary::Missing& missing : library.missing)
    fail(note, library.path, missing.function, missing.reason);
  placed.file = library.file;
  placed.boot_ns = boottime_now_ns();
  if (library.places.empty()) return placed;
  const std::string path = "/proc/self/fd/" + std::to_string(library.file->get());
  if (auto link = probes_->place(path, library.places, library.libc, pid)) {
    placed.links.push_back(std::move(*link));
    for (const ProbePlace& place : library.places) placed.functions.emplace_back(function_of(place.call));
  } else {
    for (auto last = library.places.rbegin(); last != library.places.rend();
         ++last) {  // as PthreadProbes does
      const ProbePlace& place = *last;
      auto one = probes_->place(path, {&place, 1}, library.libc, pid);
      if (!one) {
        fail(note, library.path, function_of(place.call), one.error().message);
        continue;
      }
      placed.links.push_back(std::move(*one));
      placed.functions.emplace_back(function_of(place.call));
    }
  }
  if (!placed.links.empty()) placed.file.reset();
  placed.boot_ns = boottime_now_ns();
  return placed;
}

void PthreadWatch::fail(ProbeNote& note, const std::string& path, const std::string& function,
                        const std::string& reason) {
  note.failed.push_back({.pid = note.pid, .path = path, .function = function, .reason = reason, .count = 1});
  std::string key = path + '\n' + function + '\n' + reason;
  std::lock_guard lock(mutex_);
  ++failed_;
  auto known = failures_.find(key);
  if (known != failures_.end()) {
    ++known->second.count;
    known->second.pid = note.pid;
  } else if (failures_.size() < kMostFailures) {
    failures_.emplace(std::move(key), note.failed.back());
    spdlog::info("no uprobe on {} of {} in process {}: {}", function.empty() ? "any function" : function,
                 path.empty() ? "any library" : escape_for_terminal(path), note.pid, reason);
  }
}

void PthreadWatch::detach(uint32_t pid) {
  // Declared first, so that they go outside the lock: the kernel takes its time.
  std::map<FileId, PlacedProbes> placed;
  std::lock_guard lock(mutex_);
  auto target = targets_.find(pid);
  if (target == targets_.end()) return;
  placed = std::move(target->second.placed);
  target->second.placed.clear();
  changes_.push_back({pid, false, target->second.start_boot_ns, 0});
  if (target->second.asked == 0) targets_.erase(target);
}

void PthreadWatch::let_go(const FileId& library) {
  PlacedProbes placed;  // as above
  std::lock_guard lock(mutex_);
  placed = host_wide_.take_unused(library, monotonic_now_ns());
}

}  // namespace loiter

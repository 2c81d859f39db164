#include "daemon/history/history_writer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/history/disk_thread.h"
#include "daemon/history/history_file.h"

namespace loiter {
namespace {

using std::chrono::seconds;

constexpr seconds kRetry{10};                       // after a write that failed
constexpr seconds kStopPatience{5};                 // for what is left to be written
constexpr uint64_t kHangsAfterNs = 10'000'000'000;  // a write that takes so long
constexpr uint64_t kLogEveryNs = 60'000'000'000;
constexpr size_t kNotesAtOnce = 16;  // some 5 KB each: far less than the room kept free
constexpr size_t kMostSetAsideTold = 8;

std::string hang_text(const std::string& dir) {
  return "the disk of " + dir +
         " has not answered for 10 s and more; see what it waits for, or give --state-dir";
}

using FindingKey = std::pair<std::string, uint64_t>;  // id, first seen: of one that came back there are two

}  // namespace

const char* to_string(HistoryStatus::State state) {
  switch (state) {
    case HistoryStatus::State::off:
      return "off";
    case HistoryStatus::State::opening:
      return "opening";
    case HistoryStatus::State::writing:
      return "writing";
    case HistoryStatus::State::failing:
      return "failing";
    case HistoryStatus::State::reading:
      return "reading";
  }
  return "off";
}

struct HistoryWriter::Shared : DiskThread {
  explicit Shared(HistoryOptions o) : options(std::move(o)) {
    status.state = HistoryStatus::State::opening;
    status.dir = options.dir;
    status.keep_ns = options.keep_ns;
    status.most_bytes = options.most_bytes;
  }

  void run();

  const HistoryOptions options;
  std::map<FindingKey, FindingNote> notes;
  std::deque<CountBatch> batches;
  std::optional<std::vector<KeptFinding>> restored;
  bool looked = false;
  bool lost_counts = false;
  HistoryStatus status;
  uint64_t at_disk_mono_ns = 0;  // since when the thread has been at the disk; 0: it is not
  bool told_hang = false;

  // Both with `mutex` held.
  bool hangs() const { return at_disk_mono_ns && monotonic_now_ns() - at_disk_mono_ns >= kHangsAfterNs; }
  void tell_hang();

 private:
  // All of the thread alone.
  struct Work {
    std::vector<FindingNote> notes;
    std::vector<CountBatch> batches;
    bool empty() const { return notes.empty() && batches.empty(); }
  };
  // The thread goes to the disk, and comes back.
  void leave_for_disk();
  void come_back();
  void open();
  bool take(Work& work);  // false: the daemon ends, and nothing is left
  bool write(Work& work);
  void write_all(Work& work);
  void give_back(Work work);
  void end_run();
  void on_error(const DatabaseError& error);
  void fail(const std::string& why);
  void note_success();
  void tell_set_aside(const std::vector<std::string>& names);
  void tell_drops();
  void update_figures();

  std::unique_ptr<HistoryFile> file;
  std::string told_failure;
  uint64_t told_mono_ns = 0;
  uint64_t told_drops = 0;
  uint64_t drops_mono_ns = 0;
  bool is_first_try = true;
};

// --- the thread -------------------------------------------------------------------------------------

void HistoryWriter::Shared::run() {
  pthread_setname_np(pthread_self(), "history");
  leave_for_disk();
  open();
  come_back();
  Work work;
  while (take(work)) {
    tell_drops();
    leave_for_disk();
    if (!file) open();
    const bool written = write(work);
    come_back();
    if (!written) {
      give_back(std::move(work));
      std::unique_lock lock(mutex);
      if (stopping) break;  // it has been tried
      wake.wait_for(lock, kRetry, [&] { return stopping; });
    }
    work = {};
  }
  end_run();
  std::lock_guard lock(mutex);
  note_end();
}

void HistoryWriter::Shared::leave_for_disk() {
  std::lock_guard lock(mutex);
  at_disk_mono_ns = monotonic_now_ns();
}

void HistoryWriter::Shared::come_back() {
  std::lock_guard lock(mutex);
  at_disk_mono_ns = 0;
  if (std::exchange(told_hang, false)) spdlog::info("the disk of the history answers again");
}

void HistoryWriter::Shared::open() {
  std::vector<std::string> names;
  auto opened = HistoryFile::open(options, current_boot_id(), WallClock::now(), names);
  tell_set_aside(names);
  if (!opened) {
    fail(opened.error().message);
    return;
  }
  file = std::move(*opened);
  try {
    file->tidy(realtime_now_ns());
    if (!std::exchange(is_first_try, false)) {
      note_success();
      return;
    }
    std::vector<KeptFinding> found = file->take_unresolved();
    std::lock_guard lock(mutex);
    restored = std::move(found);
    looked = true;
  } catch (const DatabaseError& error) {
    on_error(error);
    return;
  }
  note_success();
}

// Closing it makes the last checkpoint.
void HistoryWriter::Shared::end_run() {
  try {
    if (file) file->end_run(realtime_now_ns());
  } catch (const DatabaseError& error) {
    fail(error.message);
  }
  file.reset();
}

bool HistoryWriter::Shared::take(Work& work) {
  std::unique_lock lock(mutex);
  // Where it is not open, that is tried again though nobody writes.
  wake.wait_for(lock, file ? seconds(3600) : kRetry,
                [&] { return stopping || !notes.empty() || !batches.empty(); });
  for (auto& [key, note] : notes) work.notes.push_back(std::move(note));
  notes.clear();
  std::ranges::move(batches, std::back_inserter(work.batches));
  batches.clear();
  return !stopping || !work.empty();
}

bool HistoryWriter::Shared::write(Work& work) {
  if (!file) return work.empty();
  try {
    try {
      write_all(work);
    } catch (const DatabaseError& error) {
      if (!error.is_full()) throw;
      file->make_room(realtime_now_ns());  // where the disk is full, that may not help
      write_all(work);
    }
    note_success();
    return true;
  } catch (const DatabaseError& error) {
    on_error(error);
    return false;
  }
}

// Takes out of `work` what has been written.
void HistoryWriter::Shared::write_all(Work& work) {
  while (!work.notes.empty()) {
    const size_t count = std::min(kNotesAtOnce, work.notes.size());
    const auto first = work.notes.end() - static_cast<std::ptrdiff_t>(count);
    file->write({first, work.notes.end()});
    work.notes.erase(first, work.notes.end());
    std::lock_guard lock(mutex);
    status.findings += count;
  }
  while (!work.batches.empty()) {
    file->write(work.batches.front());
    const size_t rows = work.batches.front().rows.size();
    work.batches.erase(work.batches.begin());
    file->tidy(realtime_now_ns());
    std::lock_guard lock(mutex);
    status.rows += rows;
  }
}

// What has changed meanwhile is newer.
void HistoryWriter::Shared::give_back(Work work) {
  std::lock_guard lock(mutex);
  for (FindingNote& note : work.notes) {
    FindingKey key{note.kept->finding.id, note.kept->first_boot_ns};
    if (notes.contains(key)) continue;
    if (notes.size() >= kMostFindings)
      ++status.dropped_findings;
    else
      notes.emplace(std::move(key), std::move(note));
  }
  std::move(work.batches.rbegin(), work.batches.rend(), std::front_inserter(batches));
  while (batches.size() > kMostBatches) {
    batches.pop_front();
    ++status.dropped_counts;
    lost_counts = true;
  }
}

// --- what is told -----------------------------------------------------------------------------------

void HistoryWriter::Shared::on_error(const DatabaseError& error) {
  if (error.is_damage()) {
    const Result<std::string> name = file->set_aside("damaged");
    if (name) tell_set_aside({*name + " (" + error.message + ")"});
    std::lock_guard lock(mutex);
    lost_counts = true;
  }
  // Nothing else goes away by trying the same again: the file may have been moved away, too.
  if (!error.is_full() && error.code != SQLITE_BUSY) file.reset();
  fail(options.dir + " cannot be written to: " + error.message +
       (error.is_full() ? "; make room, or give --state-dir" : ""));
}

void HistoryWriter::Shared::fail(const std::string& why) {
  const uint64_t now = monotonic_now_ns();
  std::lock_guard lock(mutex);
  looked = true;
  ++status.failed;
  status.state = HistoryStatus::State::failing;
  status.failure = why;
  if (why == told_failure) return;
  if (told_mono_ns && now - told_mono_ns < kLogEveryNs) return;
  told_failure = why;
  told_mono_ns = now;
  spdlog::warn("no history is written: {}", escape_for_terminal(why));
}

void HistoryWriter::Shared::note_success() {
  update_figures();
  std::lock_guard lock(mutex);
  if (!told_failure.empty()) spdlog::info("the history is written again");
  told_failure.clear();
  status.state = HistoryStatus::State::writing;
  status.failure.clear();
}

void HistoryWriter::Shared::update_figures() {
  const uint64_t bytes = file->bytes(), oldest = file->oldest_ns();
  std::lock_guard lock(mutex);
  status.bytes = bytes;
  status.oldest_ns = oldest;
}

// By who wants something written: the thread itself cannot.
void HistoryWriter::Shared::tell_hang() {
  if (told_hang || !hangs()) return;
  told_hang = true;
  spdlog::warn("no history is written: {}", escape_for_terminal(hang_text(options.dir)));
}

void HistoryWriter::Shared::tell_set_aside(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    spdlog::warn("the history is begun anew; the file that was there is set aside as {}/{}",
                 escape_for_terminal(options.dir), escape_for_terminal(name));
    std::lock_guard lock(mutex);
    status.set_aside.push_back(name);
    if (status.set_aside.size() > kMostSetAsideTold) status.set_aside.erase(status.set_aside.begin());
  }
}

void HistoryWriter::Shared::tell_drops() {
  const uint64_t now = monotonic_now_ns();
  std::lock_guard lock(mutex);
  const uint64_t drops = status.dropped_findings + status.dropped_counts;
  if (drops == told_drops || (drops_mono_ns && now - drops_mono_ns < kLogEveryNs)) return;
  spdlog::warn("the history lacks {} more changes: the disk did not take them in time", drops - told_drops);
  told_drops = drops;
  drops_mono_ns = now;
}

// --- what others call -------------------------------------------------------------------------------

HistoryWriter::HistoryWriter(HistoryOptions options)
    : shared_(std::make_shared<Shared>(std::move(options))) {}

void HistoryWriter::start() {
  thread_ = std::thread([shared = shared_] { shared->run(); });
}

void HistoryWriter::stop() {
  if (!shared_->stop(thread_, kStopPatience))
    spdlog::warn("the disk of {} hangs: the last of the history is not written",
                 escape_for_terminal(shared_->options.dir));
}

void HistoryWriter::add(FindingNote note) {
  std::lock_guard lock(shared_->mutex);
  FindingKey key{note.kept->finding.id, note.kept->first_boot_ns};
  if (shared_->notes.size() >= kMostFindings && !shared_->notes.contains(key)) {
    ++shared_->status.dropped_findings;
    return;
  }
  shared_->notes.insert_or_assign(std::move(key), std::move(note));
  shared_->tell_hang();
  shared_->wake.notify_one();
}

void HistoryWriter::add(CountBatch batch) {
  std::lock_guard lock(shared_->mutex);
  shared_->batches.push_back(std::move(batch));
  shared_->tell_hang();
  if (shared_->batches.size() > kMostBatches) {
    shared_->batches.pop_front();
    ++shared_->status.dropped_counts;
    shared_->lost_counts = true;
  }
  shared_->wake.notify_one();
}

std::optional<std::vector<KeptFinding>> HistoryWriter::take_restored() {
  std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->restored, std::nullopt);
}

bool HistoryWriter::has_looked() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->looked;
}

bool HistoryWriter::take_lost() {
  std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->lost_counts, false);
}

HistoryStatus HistoryWriter::status() const {
  std::lock_guard lock(shared_->mutex);
  HistoryStatus status = shared_->status;
  if (shared_->hangs()) {
    status.state = HistoryStatus::State::failing;
    status.failure = hang_text(shared_->options.dir);
  }
  return status;
}

}  // namespace loiter

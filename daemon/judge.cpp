#include "daemon/judge.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/base/duration.h"
#include "daemon/detect/case.h"
#include "daemon/detect/deadlock.h"
#include "daemon/detect/leak.h"
#include "daemon/detect/orphan.h"
#include "daemon/detect/rank.h"
#include "daemon/detect/spin.h"
#include "daemon/detect/starved.h"
#include "daemon/detect/stuck.h"
#include "daemon/detect/unjoined.h"

namespace loiter {
namespace {

// Wall time of looks after one census. What is left over comes first the next time; where somebody waits for
// the verdict, it is whole or has taken long.
constexpr uint64_t kMostLookingNs = 250'000'000;
constexpr uint64_t kMostLookingAskedNs = 6'000'000'000;
// Of those, for threads that were never joined.
constexpr uint64_t kMostListingNs = 50'000'000;
constexpr uint64_t kMostListingAskedNs = 3'000'000'000;

// Where more are taken while looks go on, the history begins anew.
constexpr size_t kMostPassed = 8;

constexpr size_t kMostStacks = 16;  // of a finding

// For what an earlier run found, before anything is judged: the history is open after some milliseconds, but
// its disk may hang.
constexpr uint64_t kMostRestoringNs = 5'000'000'000;

// A finding of an earlier run is not taken for gone before the detectors have seen as much as they need to
// find it again, and a little more.
constexpr uint64_t kHoldNs = 10'000'000'000;
uint64_t needed_to_find(FindingKind kind, const Thresholds& thresholds) {
  switch (kind) {
    case FindingKind::leak:
    case FindingKind::exhaustion:
      return thresholds.leak_window_ns * (thresholds.leak_windows + 1);
    case FindingKind::stuck:  // its age is told by the kernel, however long ago it began
      return 0;
    default:
      return threshold_for(kind, thresholds).value_or(0);
  }
}

void append(std::vector<Finding>& to, std::vector<Finding> more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

}  // namespace

void Judge::start(std::function<void()> published) {
  published_ = std::move(published);
  thread_ = std::thread([this] { run(); });
}

void Judge::on_picture() {
  std::lock_guard lock(mutex_);
  if (resting_) return;
  if (std::shared_ptr<const Picture> picture = parts_.board.latest()) passed_.push_back(picture->snapshot);
  if (passed_.size() > kMostPassed) passed_.pop_front();
  wanted_ = true;
  wake_.notify_one();
}

void Judge::request(uint64_t mono_ns) {
  std::lock_guard lock(mutex_);
  resting_ = false;
  wanted_ = true;
  asked_mono_ns_ = std::max(asked_mono_ns_, mono_ns);
  wake_.notify_one();
}

void Judge::set_config(ConfigPtr config) {
  std::lock_guard lock(mutex_);
  next_config_ = std::move(config);
}

void Judge::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Judge::await_history() {
  if (!parts_.recorder) return;
  const uint64_t begin = monotonic_now_ns();
  std::unique_lock lock(mutex_);
  while (!stopping_ && !parts_.recorder->has_looked() && monotonic_now_ns() - begin < kMostRestoringNs)
    wake_.wait_for(lock, std::chrono::milliseconds(20));
}

// Should the history come later, it is made one with what has been found by then.
void Judge::restore() {
  if (!parts_.recorder || restored_) return;
  std::optional<std::vector<KeptFinding>> found = parts_.recorder->take_restored();
  if (!found) return;
  restored_ = true;
  const uint64_t now = boottime_now_ns();
  for (KeptFinding& kept : *found) {
    kept.unwatched = true;
    kept.hold_boot_ns = now + kHoldNs + needed_to_find(kept.finding.kind, thresholds_);
    book_.restore(std::move(kept));
  }
  if (!found->empty())
    spdlog::info("{} of an earlier run taken up again",
                 found->size() == 1 ? "1 finding" : std::to_string(found->size()) + " findings");
}

void Judge::run() {
  pthread_setname_np(pthread_self(), "judge");
  await_history();
  while (true) {
    bool asked = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || wanted_; });
      if (stopping_) return;
      wanted_ = false;
      asked = asked_mono_ns_ != 0;
      config_ = next_config_;
    }
    std::shared_ptr<const Picture> picture = parts_.board.latest();
    if (!picture) continue;
    thresholds_ = config_->rules.least_thresholds(config_->thresholds);
    history_.set_thresholds(thresholds_);
    restore();
    judge(*picture, asked);
    {
      std::lock_guard lock(mutex_);
      if (picture->snapshot->begin_mono_ns >= asked_mono_ns_) asked_mono_ns_ = 0;
    }
    published_();
  }
}

// Null: the daemon ends.
InspectAnswerPtr Judge::look(const InspectRequest& request) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    InspectAnswerPtr answer;
  };
  auto shared = std::make_shared<Shared>();
  ++cost_.looks;
  parts_.inspect(request, [shared](InspectAnswerPtr answer) {
    std::lock_guard lock(shared->mutex);
    shared->answer = std::move(answer);
    shared->done.notify_one();
  });
  std::unique_lock lock(shared->mutex);
  while (!shared->answer) {
    shared->done.wait_for(lock, std::chrono::milliseconds(200));
    std::lock_guard own(mutex_);
    if (stopping_) return nullptr;
  }
  return shared->answer;
}

// How many are left for the next time.
size_t Judge::look_at_suspects(const Snapshot& snapshot, bool asked) {
  std::vector<Suspect> suspects = find_suspects(snapshot, waits_, parts_.interval_ns, thresholds_.stuck_ns);
  // Who was put off comes before who was looked at last time.
  std::stable_sort(suspects.begin(), suspects.end(), [&](const Suspect& a, const Suspect& b) {
    return looked_pass_[a.pid] < looked_pass_[b.pid];
  });
  const uint64_t begin = monotonic_now_ns();
  const uint64_t most = asked ? kMostLookingAskedNs : kMostLookingNs;
  std::set<uint32_t> seen;
  size_t left = suspects.size();
  for (const Suspect& suspect : suspects) {
    if (monotonic_now_ns() - begin > most) break;
    --left;
    if (seen.contains(suspect.pid)) continue;
    InspectAnswerPtr answer = look({.kind = InspectRequest::Kind::edges,
                                    .pid = suspect.pid,
                                    .start_boot_ns = suspect.start_boot_ns,
                                    .asked_mono_ns = snapshot.begin_mono_ns});
    if (!answer) break;
    waits_.take(answer->inspections, answer->edges);
    for (const auto& [pid, inspection] : answer->inspections) {
      seen.insert(pid);
      looked_pass_[pid] = snapshot.pass;
    }
  }
  cost_.looking_ns = monotonic_now_ns() - begin;
  return left;
}

// Once, when it is raised: by then they may tell more than the looks for waits, which go no further than
// those need.
void Judge::add_stacks(Finding& finding) {
  std::map<uint32_t, std::vector<FindingThread*>> by_process;
  for (FindingThread& thread : finding.threads)
    if (is_blocked(thread.state) && &thread < finding.threads.data() + kMostStacks)
      by_process[thread.pid].push_back(&thread);
  for (auto& [pid, threads] : by_process) {
    InspectRequest request{.kind = InspectRequest::Kind::stacks, .pid = pid};
    request.with_lines = true;
    if (threads.size() == 1) request.tid = threads.front()->key.tid;
    InspectAnswerPtr answer = look(request);
    if (!answer) return;
    for (FindingThread* thread : threads) fill_from(*thread, *answer->inspection);
  }
}

size_t Judge::look_for_unjoined(const Picture& picture, bool asked) {
  const Snapshot& snapshot = *picture.snapshot;
  unjoined_.expire(snapshot);
  for (const auto& [pid, view] : picture.pthreads) unjoined_.take(*view, snapshot);
  const std::vector<TaskKey> due = unjoined_watch_.due(snapshot, unjoined_, thresholds_);
  const uint64_t begin = monotonic_now_ns();
  const uint64_t most = asked ? kMostListingAskedNs : kMostListingNs;
  size_t left = due.size();
  for (const TaskKey& process : due) {
    if (monotonic_now_ns() - begin > most) break;
    InspectAnswerPtr answer = look({.kind = InspectRequest::Kind::pthreads,
                                    .pid = process.tid,
                                    .start_boot_ns = process.start_boot_ns,
                                    .asked_mono_ns = snapshot.begin_mono_ns});
    if (!answer) break;
    --left;
    unjoined_.take(*answer->inspection, snapshot);
    unjoined_watch_.asked(process, snapshot);
  }
  return left;
}

// Of who grows or starves: nobody else's matter.
KnownLimits Judge::read_limits(const HostCase& host) {
  KnownLimits known;
  std::vector<TaskKey> wanted = history_.growing(host.snapshot());
  const std::vector<TaskKey> starving = find_starving(host, history_);
  wanted.insert(wanted.end(), starving.begin(), starving.end());
  for (const TaskKey& process : wanted)
    if (!known.processes.contains(process.tid))
      if (auto limits = limits_.process(process.tid, process.start_boot_ns))
        known.processes.emplace(process.tid, std::move(*limits));
  if (!wanted.empty()) known.host = limits_.host();
  return known;
}

std::deque<SnapshotPtr> Judge::take_passed() {
  std::lock_guard lock(mutex_);
  return std::exchange(passed_, {});
}

std::vector<Finding> Judge::detect(const Snapshot& snapshot) {
  const HostCase host(snapshot, waits_, thresholds_);
  const KnownLimits limits = read_limits(host);
  std::vector<Finding> found = find_deadlocks(host);
  append(found, find_orphans(host));
  turns_.see(host);
  append(found, find_stuck(host, turns_));
  append(found, find_leaks(host, history_, limits));
  append(found, find_exhaustion(host, history_, limits));
  append(found, find_starved(host, history_, limits));
  append(found, find_spinning(host, history_));
  append(found, find_unjoined(host, unjoined_));
  return found;
}

// Rules may look at stacks: these are taken first, and once, whatever comes of the finding then.
void Judge::sift(std::vector<Finding>& found, const Snapshot& snapshot) {
  const Rules& rules = config_->rules;
  std::erase_if(found,
                [&](const Finding& finding) { return !rules.may_be_told(finding, config_->thresholds); });
  const bool need_stacks = rules.need_stacks();
  for (Finding& finding : found) {
    const Finding* before = book_.find(finding.id);
    if (before && !need_stacks) continue;  // the book has them
    if (!before) before = sieve_.find(finding.id);
    if (before)
      keep_what_was_seen(finding, *before);
    else
      add_stacks(finding);
  }
  sieve_.sift(found, rules, config_->thresholds, snapshot);
}

void Judge::judge(const Picture& picture, bool asked) {
  const Snapshot& snapshot = *picture.snapshot;
  if (first_mono_ns_ == 0) first_mono_ns_ = snapshot.begin_mono_ns;
  waits_.expire(snapshot);
  std::erase_if(looked_pass_, [&](const auto& entry) { return !snapshot.find(entry.first); });
  const size_t left = look_at_suspects(snapshot, asked);

  const size_t unlisted = look_for_unjoined(picture, asked);

  const uint64_t cpu_before = thread_cpu_now_ns();
  for (const SnapshotPtr& passed : take_passed()) history_.add(*passed);
  history_.add(snapshot);
  std::vector<Finding> found = detect(snapshot);
  cost_.detect_ns = thread_cpu_now_ns() - cpu_before;
  ++cost_.passes;
  sift(found, snapshot);
  const FindingBook::Changes changes = book_.update(std::move(found), snapshot, sieve_.ignored_ids());
  tell(changes, snapshot);
  if (parts_.recorder) {
    parts_.recorder->add(changes, snapshot);
    parts_.recorder->add(snapshot, book_);
  }

  auto verdicts = std::make_shared<Verdicts>();
  verdicts->snapshot = picture.snapshot;
  verdicts->threshold_ns = config_->thresholds.stuck_ns;
  verdicts->live = book_.live();
  rank(verdicts->live);
  verdicts->marks = FindingMarks(verdicts->live, book_, snapshot);
  verdicts->resolved = book_.resolved();
  verdicts->ignored = sieve_.ignored();
  verdicts->ignored_count = sieve_.ignored_count();
  verdicts->rules = {config_, &config_->rules};
  verdicts->dropped = book_.dropped();
  verdicts->cost = cost_;
  verdicts->not_judged = not_judged(snapshot, left, unlisted);
  parts_.verdicts.publish(std::move(verdicts));
}

std::vector<NotJudged> Judge::not_judged(const Snapshot& snapshot, size_t left, size_t unlisted) const {
  const auto processes = [](size_t count) {
    return std::to_string(count) + (count == 1 ? " process has" : " processes have") +
           " not been looked into yet: ask again";
  };
  std::vector<NotJudged> list;
  if (left) list.push_back({FindingKind::deadlock, processes(left)});
  if (unlisted) list.push_back({FindingKind::unjoined, processes(unlisted)});
  const uint64_t needed_ns = thresholds_.leak_window_ns * thresholds_.leak_windows;
  const uint64_t watched_ns = snapshot.begin_mono_ns - std::min(snapshot.begin_mono_ns, first_mono_ns_);
  if (watched_ns < needed_ns)
    list.push_back(
        {FindingKind::leak, "needs --for " + format_duration(needed_ns) + " or a loiterd that runs"});
  return list;
}

void Judge::tell(const FindingBook::Changes& changes, const Snapshot& snapshot) {
  const auto line = [](const KeptFinding& kept) {
    return fmt::format("{} {} ({}) {}: {}", to_string(kept.finding.severity), to_string(kept.finding.kind),
                       to_string(kept.finding.certainty), kept.finding.id,
                       escape_for_terminal(kept.finding.summary));
  };
  for (const KeptFindingPtr& kept : changes.raised) {
    // A private daemon's warnings go to its user's terminal, which shows the findings themselves.
    const bool warns = !parts_.is_private && kept->finding.severity != Severity::info;
    spdlog::log(warns ? spdlog::level::warn : spdlog::level::info, "raised: {}", line(*kept));
    parts_.hub.push_finding("raised", *kept, snapshot);
  }
  for (const KeptFindingPtr& kept : changes.updated) parts_.hub.push_finding("updated", *kept, snapshot);
  for (const KeptFindingPtr& kept : changes.resolved) {
    spdlog::info("resolved ({}): {}", to_string(kept->resolution), line(*kept));
    parts_.hub.push_finding("resolved", *kept, snapshot);
  }
  parts_.hub.flush();
}

}  // namespace loiter

#include "daemon/collector.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

// How often the ring is emptied: at 20,000 births and ends a second, 4 MB of records, a ring of 2 MiB fills
// in half a second; a wakeup costs some 10 us, so 20 a second are nothing.
constexpr uint64_t kDrainNs = 50'000'000;

// Censuses that clients ask for are no closer together than this.
constexpr uint64_t kMinGapNs = 100'000'000;

// A pass that fails is counted and made good by the next one; the first has none before it.
constexpr int kFirstTries = 3;

// After a short record that did not fit: should that come again and again, it costs a sixteenth more, not
// twice.
constexpr int kFullPassesAfterDoubt = 16;

constexpr uint64_t kLossLogNs = 60'000'000'000;

}  // namespace

Collector::Collector(const DaemonOptions& options, Board& board, EventHub& hub, PthreadWatch& watch)
    : options_(options),
      board_(board),
      hub_(hub),
      watch_(watch),
      model_({options.max_threads, options.max_ended, options.keep_ended_ns},
             [procfs = Procfs()](uint32_t pid, uint64_t start) { return procfs.details(pid, start); }),
      pthreads_({}, options.uprobes == UprobeMode::all),
      request_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      wall_(WallClock::now()) {}

Result<std::unique_ptr<Collector>> Collector::open(const DaemonOptions& options, Board& board, EventHub& hub,
                                                   PthreadWatch& watch) {
  std::unique_ptr<Collector> collector(new Collector(options, board, hub, watch));
  auto events = EventReader::open({options.ring_size, options.tracepoints, options.kernel_threads});
  if (!events) return events.error();
  collector->events_ = std::move(*events);
  auto census = CensusReader::open({.kernel_threads = options.kernel_threads});
  if (!census) return census.error();
  collector->census_reader_ = std::move(*census);
  return collector;
}

Status Collector::start(EventLoop& loop, std::shared_ptr<DaemonFacts> facts, OriginWork origins,
                        std::function<void()> published) {
  facts_ = std::move(facts);
  origins_ = std::move(origins);
  published_ = std::move(published);
  Status read = census_reader_->read(census_);  // also tells what this kernel gives
  for (int tries = 1; !read && tries < kFirstTries; ++tries) {
    spdlog::warn("{}; trying again", read.error().message);
    read = census_reader_->read(census_);
  }
  if (!read) return read;
  // Gives the model threads to apply events to: those that come while the next pass goes on count already.
  drain();
  model_.reconcile(census_);
  facts_->maps = events_->maps();
  for (BpfMapSize& map : census_reader_->maps()) facts_->maps.push_back(std::move(map));
  facts_->features =
      probe_features({events_->uses_btf(), census_.begin.reader.clock != 0, events_->slices() != nullptr});
  loop.add(drain_timer_.fd(), [this] { on_drain_timer(); });
  loop.add(census_timer_.fd(), [this] { on_census_due(); });
  loop.add(request_timer_.fd(), [this] {
    request_timer_.acknowledge();
    take_census();
  });
  loop.add(request_fd_.get(), [this] { on_request(); });
  take_census();
  drain_timer_.every(kDrainNs);
  census_timer_.every(options_.interval_ns);
  return ok();
}

void Collector::change_facts(const std::function<void(DaemonFacts&)>& change) {
  auto changed = std::make_shared<DaemonFacts>(*facts_);
  change(*changed);
  facts_ = std::move(changed);
}

void Collector::request_census() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t size = write(request_fd_.get(), &one, sizeof(one));
}

void Collector::on_request() {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t size = read(request_fd_.get(), &count, sizeof(count));
  uint64_t since = monotonic_now_ns() - last_begin_mono_ns_;
  if (since >= kMinGapNs)
    take_census();
  else
    request_timer_.once(kMinGapNs - since);
}

void Collector::on_drain_timer() {
  drain_timer_.acknowledge();
  drain();
}

void Collector::on_census_due() {
  census_timer_.acknowledge();
  take_census();
}

// Before the events that this concerns: what was placed meanwhile tells from then on.
void Collector::follow_watch() {
  for (const PthreadWatch::Change& change : watch_.take_changes()) {
    const TaskKey process{change.pid, change.start_boot_ns};
    if (change.watched)
      pthreads_.watch(process, change.since_boot_ns);
    else
      pthreads_.unwatch(process);
  }
}

void Collector::drain() {
  // Taken first: what the processes of these did before they were looked at is among the events to come.
  const std::vector<FoundOrigin> found = origins_.take ? origins_.take() : std::vector<FoundOrigin>();
  // Two rings are emptied one after the other: of what comes meanwhile one may have the effect and not the
  // cause. It is left for the next time.
  const uint64_t now = boottime_now_ns();
  batch_ = std::exchange(held_, {});
  events_->drain(batch_);
  const bool two_rings = watch_.drain(batch_);
  auto later = std::stable_partition(batch_.begin(), batch_.end(),
                                     [&](const Event& event) { return !two_rings || event.boot_ns <= now; });
  held_.assign(std::make_move_iterator(later), std::make_move_iterator(batch_.end()));
  batch_.erase(later, batch_.end());
  follow_watch();
  apply(batch_);
  for (const FoundOrigin& origin : found) model_.accept(origin);
}

void Collector::apply(std::vector<Event>& events) {
  // CPUs race for places in the ring; the model wants causes before effects.
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.boot_ns < b.boot_ns; });
  std::string old_name;
  std::vector<BirthSlice> slices;
  for (Event& event : events) {
    model_.apply(event, old_name);
    pthreads_.apply(event);
    if (event.type == LOITER_EVENT_EXEC) watch_.on_exec(event.task.tgid, event.boot_ns);
    hub_.push(event, old_name, wall_);
    if (event.type == LOITER_EVENT_BIRTH && event.slice_state == LOITER_SLICE_TAKEN)
      slices.push_back({event.task, event.boot_ns, event.slice});
  }
  if (!slices.empty()) origins_.add(slices);
  if (!events.empty()) hub_.flush();
}

// A short record says nothing of the name, which others can change: where an event was lost, or a name was
// wrong in spite of the events, the whole host is read again.
CensusReader::Depth Collector::next_depth() {
  uint64_t lost = 0;
  for (const LossCount& loss : events_->losses()) lost += loss.count;
  bool is_told = std::exchange(events_lost_, lost) == lost;
  is_told = !model_.take_mistold() && is_told;
  if (full_passes_ > 0)
    --full_passes_;
  else if (is_told)
    return CensusReader::Depth::changed;
  return CensusReader::Depth::full;
}

Status Collector::take_pass(CensusReader::Depth depth) {
  uint64_t begin = monotonic_now_ns();
  if (Status read = census_reader_->read(census_, depth); !read) {
    ++cost_.failed;
    spdlog::error("{}", read.error().message);
    return read;
  }
  cost_.read_ns = monotonic_now_ns() - begin;
  cost_.still = census_.still.size();
  ++cost_.passes;
  drain();  // before the model is set right: what the events tell is not counted as a repair
  model_.reconcile(census_);
  return ok();
}

void Collector::take_census() {
  uint64_t cpu_before = thread_cpu_now_ns();
  uint64_t begin = monotonic_now_ns();
  last_begin_mono_ns_ = begin;
  Status taken = take_pass(next_depth());
  if (taken && model_.doubts()) {
    full_passes_ = kFullPassesAfterDoubt;
    taken = take_pass(CensusReader::Depth::full);
  }
  if (!taken) {
    if (published_) published_();  // who waits for a census is told that none came
    return;
  }
  wall_.follow();
  auto picture = std::make_shared<Picture>();
  picture->facts = facts_;
  auto snapshot = model_.publish(wall_);
  picture->losses = count_losses(*snapshot);
  pthreads_.expire(*snapshot);
  picture->pthreads = pthreads_.publish();
  picture->uprobes = watch_.status();
  watch_.on_published(*snapshot);
  picture->snapshot = std::move(snapshot);
  cost_.publish_ns = monotonic_now_ns() - begin;
  cost_.cpu_ns = thread_cpu_now_ns() - cpu_before;
  picture->cost = cost_;
  board_.publish(std::move(picture));
  if (published_) published_();
}

// All losses of all planes by cause.
std::vector<LossCount> Collector::count_losses(const Snapshot& snapshot) {
  std::vector<LossCount> losses = events_->losses();
  for (const std::vector<LossCount>& others : {census_reader_->losses(), watch_.losses()})
    for (const LossCount& more : others) {
      auto same = std::find_if(losses.begin(), losses.end(),
                               [&](const LossCount& loss) { return loss.cause == more.cause; });
      if (same != losses.end()) same->count += more.count;
    }
  losses.push_back({"census_failed", "censuses that could not be read to their end", cost_.failed});
  losses.push_back({"threads_over_limit", "live threads of the last census beyond --max-threads",
                    snapshot.threads_over_limit});
  tell_losses(losses);
  // Not of events, so not told as lost ones. What is no loss of ours is left out: a process that ended at
  // once.
  for (SiteGap gap : {SiteGap::rate_limited, SiteGap::no_slot, SiteGap::unreadable, SiteGap::not_unwound})
    losses.push_back({"site_" + std::string(to_string(gap)),
                      std::string("creation sites not known: ") + explanation_of(gap),
                      model_.site_gaps()[static_cast<size_t>(gap)]});
  return losses;
}

// Each loss that grew: a line in the event stream at once, one in the log at most once a minute.
void Collector::tell_losses(const std::vector<LossCount>& losses) {
  uint64_t now = monotonic_now_ns();
  for (const LossCount& loss : losses) {
    ToldLoss& told = told_losses_[loss.cause];
    if (loss.count > told.streamed) hub_.push_lost(loss.count - told.streamed, loss.cause, wall_);
    told.streamed = loss.count;
    if (loss.count <= told.logged || (told.logged_mono_ns && now - told.logged_mono_ns < kLossLogNs))
      continue;
    spdlog::warn("lost {} more: {} ({})", loss.count - told.logged, loss.detail, loss.cause);
    told.logged = loss.count;
    told.logged_mono_ns = now;
  }
  hub_.flush();
}

}  // namespace loiter

#include "daemon/inspect/inspector.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/inspect/look.h"

namespace loiter {
namespace {

// Slices that are unwound before the next look at the requests: one or two milliseconds' worth.
constexpr size_t kBirthsAtOnce = 32;

// Of one process: more than one gets at once (bpf/slices.h), so that a quarter of the slots is left.
constexpr size_t kMostWaiting = LOITER_SLICES * 3 / 4;

// For each time spent on them so many times as long is left to others, but no longer than that: a large
// program that is met for the first time takes a second alone.
constexpr int kRestFactor = 3;
constexpr std::chrono::milliseconds kLongestRest{100};

}  // namespace

Inspector::Inspector(std::shared_ptr<const HostLookup> host, std::shared_ptr<Slices> slices)
    : host_(std::move(host)), slices_(std::move(slices)) {}

Inspector::~Inspector() {
  stop();
}

void Inspector::submit(const InspectRequest& request, Done done) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  queue_.push_back({request, std::move(done)});
  // Not before somebody asks: most daemons are never asked, and save the thread, its programs and its
  // helpers.
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

void Inspector::add_births(const std::vector<BirthSlice>& births) {
  if (births.empty() || !slices_) return;
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  for (const BirthSlice& birth : births) {
    std::deque<BirthSlice>& waiting = births_[birth.task.tgid];
    if (waiting.size() < kMostWaiting) {
      waiting.push_back(birth);
      continue;
    }
    slices_->give_back(birth.slot);
    origins_.push_back({.task = birth.task, .stack = nullptr, .gap = SiteGap::no_slot});
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

std::vector<FoundOrigin> Inspector::take_origins() {
  std::lock_guard lock(mutex_);
  return std::exchange(origins_, {});
}

void Inspector::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
    births_.clear();  // the slots go with the programs
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

namespace {

InspectionPtr failed(uint32_t pid, const std::string& why) {
  auto inspection = std::make_shared<Inspection>();
  inspection->pid = pid;
  inspection->failure = why;
  return inspection;
}

InspectAnswerPtr answer(Looker& looker, const InspectRequest& request) {
  auto answer = std::make_shared<InspectAnswer>();
  LookWish wish{
      .pid = request.pid, .start_boot_ns = request.start_boot_ns, .asked_mono_ns = request.asked_mono_ns};
  if (request.kind == InspectRequest::Kind::chains || request.kind == InspectRequest::Kind::edges) {
    ChainFinder finder([&](uint32_t pid) {
      wish.pid = pid;
      wish.start_boot_ns = pid == request.pid ? request.start_boot_ns : 0;
      return looker.look(wish);
    });
    if (request.kind == InspectRequest::Kind::edges)
      answer->edges = finder.edges(request.pid);
    else if (request.tid)
      answer->chains.push_back(finder.from(request.pid, *request.tid));
    else
      answer->chains = finder.roots(request.pid);
    answer->inspections = finder.inspections();
    auto own = answer->inspections.find(request.pid);
    answer->inspection =
        own != answer->inspections.end() ? own->second : failed(request.pid, "not looked at");
    return answer;
  }
  if (request.kind == InspectRequest::Kind::thread_libraries) {
    answer->inspection = looker.find_thread_libraries(wish, answer->thread_libraries);
    return answer;
  }
  wish.tid = request.tid;
  wish.stacks = request.kind == InspectRequest::Kind::stacks;
  wish.with_lines = wish.stacks && request.with_lines;
  wish.kernel_stacks = request.kernel_stacks;
  wish.pthreads = request.kind == InspectRequest::Kind::pthreads;
  answer->inspection = looker.look(wish);
  return answer;
}

}  // namespace

// `finder`: null where nothing can be looked into; then the slots are just given back.
void Inspector::find_some(OriginFinder* finder) {
  std::vector<BirthSlice> births;
  {
    std::lock_guard lock(mutex_);
    auto of_process = births_.upper_bound(last_served_);
    if (of_process == births_.end()) of_process = births_.begin();
    if (of_process == births_.end()) return;
    last_served_ = of_process->first;
    std::deque<BirthSlice>& waiting = of_process->second;
    const auto count = static_cast<std::ptrdiff_t>(std::min(waiting.size(), kBirthsAtOnce));
    births.assign(waiting.begin(), waiting.begin() + count);
    waiting.erase(waiting.begin(), waiting.begin() + count);
    if (waiting.empty()) births_.erase(of_process);
  }
  const auto begin = std::chrono::steady_clock::now();
  std::vector<FoundOrigin> found;
  if (finder) {
    found = finder->find(births, *slices_);
  } else {
    for (const BirthSlice& birth : births) {
      slices_->give_back(birth.slot);
      found.push_back({.task = birth.task, .stack = nullptr, .gap = SiteGap::not_unwound});
    }
  }
  const auto end = std::chrono::steady_clock::now();
  rests_until_ =
      end + std::min<std::chrono::steady_clock::duration>(kRestFactor * (end - begin), kLongestRest);
  std::lock_guard lock(mutex_);
  std::move(found.begin(), found.end(), std::back_inserter(origins_));
}

void Inspector::run() {
  pthread_setname_np(pthread_self(), "inspector");
  auto looker = Looker::make(*host_, stopping_);
  if (!looker) spdlog::error("processes cannot be looked into: {}", looker.error().message);
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      const auto has_work = [&] { return stopping_ || !queue_.empty(); };
      wake_.wait(lock, [&] { return has_work() || !births_.empty(); });
      wake_.wait_until(lock, rests_until_, has_work);
      if (stopping_) return;
      if (queue_.empty()) {
        lock.unlock();
        find_some(looker ? &(*looker)->origins() : nullptr);
        continue;
      }
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    InspectAnswerPtr result;
    if (looker) {
      result = answer(**looker, item.request);
    } else {
      auto none = std::make_shared<InspectAnswer>();
      none->inspection = failed(item.request.pid, looker.error().message);
      result = none;
    }
    item.done(std::move(result));
  }
}

}  // namespace loiter

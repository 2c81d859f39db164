#include "daemon/inspect/inspector.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include "daemon/inspect/look.h"

namespace loiter {

Inspector::Inspector(std::shared_ptr<const HostLookup> host) : host_(std::move(host)) {}

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

void Inspector::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
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
  if (request.kind == InspectRequest::Kind::chains) {
    ChainFinder finder([&](uint32_t pid) {
      wish.pid = pid;
      wish.start_boot_ns = pid == request.pid ? request.start_boot_ns : 0;
      return looker.look(wish);
    });
    if (request.tid)
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

void Inspector::run() {
  pthread_setname_np(pthread_self(), "inspector");
  auto looker = Looker::make(*host_, stopping_);
  if (!looker) spdlog::error("processes cannot be looked into: {}", looker.error().message);
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
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

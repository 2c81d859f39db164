#include "cli/top/feed.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace loiter::top {
namespace {

constexpr std::chrono::seconds kStopPatience{1};

// Signals belong to the thread that owns the terminal.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    for (int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, fatal);
    pthread_sigmask(SIG_SETMASK, &all, &former_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &former_, nullptr); }

 private:
  sigset_t former_;
};

}  // namespace

Feed::Feed(Client& client, const TopOptions& options)
    : client_(client), options_(options), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BlockedSignals blocked;
  thread_ = std::thread([this] { run(); });
}

void Feed::want(const std::vector<Request>& requests) {
  std::lock_guard lock(mutex_);
  if (requests == wanted_) return;
  for (const Request& request : requests)
    hurry_ |= std::find(wanted_.begin(), wanted_.end(), request) == wanted_.end();
  wanted_ = requests;
  changed_.notify_all();
}

std::vector<Reply> Feed::take() {
  eventfd_t count;
  eventfd_read(event_.get(), &count);
  std::lock_guard lock(mutex_);
  return std::exchange(replies_, {});
}

bool Feed::stop() {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    if (!changed_.wait_for(lock, std::chrono::milliseconds(0), [this] { return ended_; })) {
      lock.unlock();
      client_.cancel();
      lock.lock();
    }
    if (!changed_.wait_for(lock, kStopPatience, [this] { return ended_; })) return false;
  }
  thread_.join();
  return true;
}

bool Feed::wait_for_work(std::unique_lock<std::mutex>& lock) {
  while (!stopping_) {
    if (!wanted_.empty() && (hurry_ || Clock::now() >= next_due_)) return true;
    if (wanted_.empty())
      changed_.wait(lock);
    else
      changed_.wait_until(lock, next_due_);
  }
  return false;
}

void Feed::run() {
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    hurry_ = false;
    next_due_ = Clock::now() + std::chrono::nanoseconds(options_.interval_ns);
    for (const Request& request : std::vector<Request>(wanted_)) {
      lock.unlock();
      Reply reply = fetch(request);
      lock.lock();
      if (stopping_) break;
      // Only the newest counts, should nobody have taken the one before.
      std::erase_if(replies_, [&](const Reply& older) { return older.request == request; });
      replies_.push_back(std::move(reply));
      eventfd_write(event_.get(), 1);
    }
  }
  ended_ = true;
  changed_.notify_all();
}

std::string Feed::target_of(const Request& request) const {
  std::string target = "/v1/processes";
  if (request.pid) target += "/" + std::to_string(request.pid);
  if (options_.threshold_ns) target += "?threshold_ns=" + std::to_string(options_.threshold_ns);
  return target;
}

Reply Feed::fetch(const Request& request) {
  Reply reply;
  reply.request = request;
  Result<nlohmann::json> document = client_.get(target_of(request));
  if (!document) {
    reply.error = document.error();
  } else if (request.pid) {
    Result<cli::Tree> tree = cli::parse_tree(*document);
    if (tree)
      reply.tree = std::make_shared<const cli::Tree>(std::move(*tree));
    else
      reply.error = tree.error();
  } else {
    Result<cli::ProcessList> list = cli::parse_process_list(*document);
    if (list)
      reply.list = std::make_shared<const cli::ProcessList>(std::move(*list));
    else
      reply.error = list.error();
  }
  return reply;
}

}  // namespace loiter::top

#include "cli/top/feed.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/target.h"

namespace loiter::top {
namespace {

constexpr std::chrono::seconds kStopPatience{1};
constexpr std::chrono::milliseconds kRest{150};  // longer than between two steps of a held key

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

// `parsed` into its place in the reply, or why there is none.
template <typename Document>
void put(Reply& reply, std::shared_ptr<const Document>& place, Result<Document> parsed) {
  if (parsed)
    place = std::make_shared<const Document>(std::move(*parsed));
  else
    reply.error = parsed.error();
}

// A thread that has run since is asked for in the place of what it was: one that runs all the time would
// never have been wanted for long enough.
bool same_subject(const Request& a, const Request& b) {
  return a.pid == b.pid && a.tid == b.tid && a.origins == b.origins && a.findings == b.findings &&
         a.born_boottime_ns == b.born_boottime_ns;
}

}  // namespace

Feed::Feed(Client& client, const TopOptions& options)
    : client_(client), options_(options), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BlockedSignals blocked;
  thread_ = std::thread([this] { run(); });
}

void Feed::want(const std::vector<Request>& requests) {
  std::lock_guard lock(mutex_);
  if (std::ranges::equal(requests, wanted_, {}, {}, &Wanted::request)) return;
  const Clock::time_point now = Clock::now();
  std::vector<Wanted> wanted;
  for (const Request& request : requests) {
    const auto found =
        std::ranges::find_if(wanted_, [&](const Wanted& old) { return same_subject(old.request, request); });
    wanted.push_back(found != wanted_.end() ? Wanted{request, found->due}
                                            : Wanted{request, request.tid ? now + kRest : now});
  }
  wanted_ = std::move(wanted);
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
    const auto next = std::ranges::min_element(wanted_, {}, &Wanted::due);
    if (next == wanted_.end()) {
      changed_.wait(lock);
      continue;
    }
    if (Clock::now() >= next->due) return true;
    const Clock::time_point due = next->due;  // the list may be another one meanwhile
    changed_.wait_until(lock, due);
  }
  return false;
}

std::vector<Request> Feed::take_due() {
  const Clock::time_point now = Clock::now();
  std::vector<Request> due;
  for (Wanted& wanted : wanted_) {
    if (now < wanted.due) continue;
    wanted.due = now + std::chrono::nanoseconds(options_.interval_ns);
    due.push_back(wanted.request);
  }
  return due;
}

bool Feed::is_wanted(const Request& request) const {
  return std::ranges::find(wanted_, request, &Wanted::request) != wanted_.end();
}

void Feed::run() {
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    for (const Request& request : take_due()) {
      if (!is_wanted(request)) continue;  // any more
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
  if (request.findings) return "/v1/findings";
  cli::Target target(request.pid ? "/v1/processes/" + std::to_string(request.pid) : "/v1/processes");
  if (request.tid) return cli::Target(target.text() + "/stacks").with("tid", request.tid).text();
  if (request.origins) return target.text() + "/origins";
  target.with("findings", 1);
  if (options_.threshold_ns) target.with("threshold_ns", options_.threshold_ns);
  return target.text();
}

Reply Feed::fetch(const Request& request) {
  Reply reply;
  reply.request = request;
  Result<nlohmann::json> document = client_.get(target_of(request));
  if (!document)
    reply.error = document.error();
  else if (request.tid)
    put(reply, reply.stacks, cli::parse_stacks(*document));
  else if (request.findings)
    put(reply, reply.findings, cli::parse_findings(*document));
  else if (request.origins)
    put(reply, reply.origins, cli::parse_origins(*document));
  else if (request.pid)
    put(reply, reply.tree, cli::parse_tree(*document));
  else
    put(reply, reply.list, cli::parse_process_list(*document));
  return reply;
}

}  // namespace loiter::top

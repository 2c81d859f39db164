// Asks the daemon for pictures and stacks, once an interval, on a thread of its own: keys are answered at
// once however slow the daemon is.
//
// Owned by the thread that shows the pictures, which calls everything here; the Client is used by the
// feed's thread only, until stop() has returned true.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/client.h"
#include "cli/top/picture.h"
#include "cli/top/top.h"
#include "daemon/base/fd.h"

namespace loiter::top {

class Feed {
 public:
  Feed(Client& client, const TopOptions& options);
  ~Feed() { stop(); }
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // What to ask for from now on, in this order; nothing: rest. A picture that is new is asked for at once; a
  // stack once it has been wanted for a moment, so that a cursor on its way asks for none.
  void want(const std::vector<Request>& requests);

  int fd() const { return event_.get(); }  // readable when replies have come
  std::vector<Reply> take();

  // Ends the thread. False where it hangs in a request that does not come back: the Client must not be
  // touched any more then.
  bool stop();

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  struct Wanted {
    Request request;
    Clock::time_point due;
  };
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  std::vector<Request> take_due();
  bool is_wanted(const Request& request) const;
  Reply fetch(const Request& request);
  std::string target_of(const Request& request) const;

  Client& client_;
  const TopOptions options_;
  Fd event_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Wanted> wanted_;
  bool stopping_ = false, ended_ = false;
  std::vector<Reply> replies_;
  std::thread thread_;
};

}  // namespace loiter::top

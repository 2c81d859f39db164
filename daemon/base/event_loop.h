// Waits for descriptors and calls who asked for them: epoll, nothing more.
//
// Owned and run by one thread; stop() only from its own callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "daemon/base/fd.h"

namespace loiter {

class EventLoop {
 public:
  EventLoop();

  // Calls `ready` whenever `fd` is readable or hung up, until remove(). `fd` stays the caller's.
  void add(int fd, std::function<void()> ready);
  void remove(int fd);

  // Until stop().
  void run();
  void stop() { stopped_ = true; }

 private:
  Fd epoll_;
  std::map<int, std::function<void()>> callbacks_;
  bool stopped_ = false;
};

// A timer that makes its descriptor readable, once or again and again. CLOCK_MONOTONIC.
class Timer {
 public:
  Timer();
  int fd() const { return fd_.get(); }
  void every(uint64_t ns);
  void once(uint64_t ns);
  // Takes note of the expiry, so that the descriptor is quiet until the next one.
  void acknowledge();

 private:
  void set(uint64_t first_ns, uint64_t interval_ns);
  Fd fd_;
};

}  // namespace loiter

#include "daemon/base/event_loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace loiter {

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

void EventLoop::add(int fd, std::function<void()> ready) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event))
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  callbacks_[fd] = std::move(ready);
}

void EventLoop::remove(int fd) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  callbacks_.erase(fd);
}

void EventLoop::run() {
  std::array<epoll_event, 16> events;
  while (!stopped_) {
    int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count && !stopped_; ++i) {
      auto found = callbacks_.find(events[static_cast<size_t>(i)].data.fd);
      if (found == callbacks_.end()) continue;  // removed by one before it
      auto ready = found->second;               // it may remove itself
      ready();
    }
  }
}

Timer::Timer() : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "timerfd_create");
}

void Timer::set(uint64_t first_ns, uint64_t interval_ns) {
  auto to_timespec = [](uint64_t ns) {
    return timespec{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  };
  itimerspec spec{.it_interval = to_timespec(interval_ns), .it_value = to_timespec(first_ns ? first_ns : 1)};
  timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

void Timer::every(uint64_t ns) {
  set(ns, ns);
}

void Timer::once(uint64_t ns) {
  set(ns, 0);
}

void Timer::acknowledge() {
  uint64_t expirations = 0;
  [[maybe_unused]] ssize_t size = read(fd_.get(), &expirations, sizeof(expirations));
}

}  // namespace loiter

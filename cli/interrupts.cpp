#include "cli/interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace loiter::cli {
namespace {

std::atomic<Client*> client_to_cancel{nullptr};
std::atomic<int> pipe_to_write{-1};
static_assert(std::atomic<Client*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void on_signal(int) {
  const int saved = errno;
  if (Client* client = client_to_cancel) client->cancel();
  // A full pipe says it already.
  [[maybe_unused]] const ssize_t written = write(pipe_to_write, "!", 1);
  errno = saved;
}

}  // namespace

Interrupts::Interrupts(Client* client) {
  std::array<int, 2> ends{-1, -1};
  // Without descriptors to spare wait() would poll nothing: the signals still end a stream by cancel().
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0) {
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
  }
  pipe_to_write = write_end_.get();
  client_to_cancel = client;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &action, &former_[i]);
}

Interrupts::~Interrupts() {
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  for (size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &former_[i], nullptr);
  client_to_cancel = nullptr;
  pipe_to_write = -1;
}

void Interrupts::after(uint64_t ns) {
  const uint64_t us = std::max<uint64_t>(1, ns / 1000);  // 0 would mean never
  const itimerval once{{}, {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

void Interrupts::wait() {
  pollfd ask{read_end_.get(), POLLIN, 0};
  while (poll(&ask, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace loiter::cli

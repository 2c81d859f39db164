#include "cli/top/signals.h"

#include <errno.h>
#include <fcntl.h>

#include <atomic>

#include "cli/top/crash_restore.h"

namespace loiter::top {
namespace {

std::array<std::atomic<bool>, NSIG> g_came;
std::atomic<int> g_wake_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);

bool is_quit(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

void on_signal(int signal) {
  int saved_errno = errno;
  bool unanswered = g_came[static_cast<size_t>(signal)].exchange(true);
  if (unanswered && is_quit(signal)) restore_and_die(signal);
  char byte = 0;
  // A full pipe is no loss: the loop has yet to read what is in it.
  [[maybe_unused]] ssize_t n = write(g_wake_fd.load(), &byte, 1);
  errno = saved_errno;
}

bool take_one(int signal) {
  return g_came[static_cast<size_t>(signal)].exchange(false);
}

}  // namespace

Signals::Signals() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
  }
  g_wake_fd = write_end_.get();
  for (auto& came : g_came) came = false;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kHandled.size(); ++i) {
    sigaction(kHandled[i], nullptr, &former_[i]);
    // What our parent wants ignored (nohup) stays so.
    if (is_quit(kHandled[i]) && former_[i].sa_handler == SIG_IGN) continue;
    sigaction(kHandled[i], &action, nullptr);
  }
}

Signals::~Signals() {
  for (size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &former_[i], nullptr);
  g_wake_fd = -1;
}

Signals::Pending Signals::take() {
  std::array<char, 64> bytes;
  while (read(read_end_.get(), bytes.data(), bytes.size()) > 0) {
  }
  Pending pending;
  for (int quit : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (take_one(quit)) pending.quit = quit;
  pending.resized = take_one(SIGWINCH);
  pending.suspend = take_one(SIGTSTP);
  pending.resumed = take_one(SIGCONT);
  return pending;
}

void Signals::stop_here() {
  struct sigaction ours, default_action = {};
  default_action.sa_handler = SIG_DFL;
  sigaction(SIGTSTP, &default_action, &ours);
  raise(SIGTSTP);
  sigaction(SIGTSTP, &ours, nullptr);
  take_one(SIGCONT);  // that is why we are here again
}

}  // namespace loiter::top

#include "cli/top/crash_restore.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

namespace loiter::top {
namespace {

constexpr unsigned kPatienceSeconds = 2;

std::array<char, 512> g_sequences;
size_t g_length = 0;
int g_fd = -1;
termios g_modes;
std::atomic<bool> g_armed{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void set_default(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
}

}  // namespace

bool arm_crash_restore(int fd, std::string_view sequences, const termios& modes) {
  disarm_crash_restore();
  if (sequences.size() > g_sequences.size()) return false;
  memcpy(g_sequences.data(), sequences.data(), sequences.size());
  g_length = sequences.size();
  g_fd = fd;
  g_modes = modes;
  g_armed.store(true, std::memory_order_release);
  return true;
}

void disarm_crash_restore() {
  g_armed.store(false, std::memory_order_release);
}

void crash_restore() {
  if (!g_armed.exchange(false, std::memory_order_acq_rel)) return;
  set_default(SIGALRM);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  alarm(kPatienceSeconds);
  signal(SIGTTOU, SIG_IGN);  // in the background, setting modes would stop us
  for (size_t done = 0; done < g_length;) {
    ssize_t n = write(g_fd, g_sequences.data() + done, g_length - done);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  tcsetattr(g_fd, TCSANOW, &g_modes);
  alarm(0);
}

void restore_and_die(int signal) {
  crash_restore();
  set_default(signal);
  raise(signal);  // blocked while we are in its handler: it strikes on return
}

void install_crash_handlers() {
  static std::array<char, 65536> stack;  // a stack overflow needs another one
  stack_t alternate = {};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  sigaltstack(&alternate, nullptr);
  struct sigaction action = {};
  action.sa_handler = restore_and_die;
  action.sa_flags = SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(fatal, &action, nullptr);
}

}  // namespace loiter::top

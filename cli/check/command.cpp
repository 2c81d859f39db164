#include "cli/check/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

constexpr int kOwnFailure = 125, kNotExecutable = 126, kNotFound = 127;  // DESIGN.md section 8
constexpr std::array kPassedOn{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

sigset_t passed_on() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kPassedOn) sigaddset(&set, number);
  return set;
}

enum class Step : int { filter, keeper, exec };

struct Trouble {
  Step step;
  int error;
};

// Between fork and exec: system calls alone, but for execvp's walk along PATH.
[[noreturn]] void become(char* const* argv, const ExitFilter& filter, int link, const SignalRelay& signals,
                         int trouble_fd) {
  Trouble trouble{Step::filter, 0};
  const int listener = filter.install();
  if (listener < 0) {
    trouble.error = -listener;
  } else if (!Keeper::hand_over(link, listener)) {
    trouble = {Step::keeper, EPIPE};
  } else {
    close(listener);
    signals.undo_in_child();
    execvp(argv[0], argv);
    trouble = {Step::exec, errno};
  }
  [[maybe_unused]] const ssize_t told = write(trouble_fd, &trouble, sizeof(trouble));
  // Not exit_group, for which nobody may answer.
  while (true) syscall(SYS_exit, kOwnFailure);
}

CheckedCommand::Failure failure_of(const Trouble& trouble, const std::string& command) {
  if (trouble.step == Step::filter) return {kOwnFailure, ExitFilter::explain(trouble.error).message};
  if (trouble.step == Step::keeper)
    return {kOwnFailure, "the process that answers for the command's end has died"};
  const bool missing = trouble.error == ENOENT || trouble.error == ENOTDIR;
  return {missing ? kNotFound : kNotExecutable, "cannot run '" + command + "': " + strerror(trouble.error)};
}

}  // namespace

SignalRelay::SignalRelay(const Inherited& inherited) : inherited_(inherited) {
  const sigset_t set = passed_on();
  sigprocmask(SIG_BLOCK, &set, &former_mask_);
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &normal, &former_sigchld_);  // ignored, it would reap the command unseen
  fd_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

SignalRelay::~SignalRelay() {
  sigaction(SIGCHLD, &former_sigchld_, nullptr);
  sigprocmask(SIG_SETMASK, &former_mask_, nullptr);
}

void SignalRelay::undo_in_child() const {
  struct sigaction pipe {};
  pipe.sa_handler = inherited_.sigpipe;
  sigaction(SIGPIPE, &pipe, nullptr);
  sigaction(SIGCHLD, &former_sigchld_, nullptr);
  sigprocmask(SIG_SETMASK, &former_mask_, nullptr);
}

std::optional<SignalRelay::Received> SignalRelay::next() const {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return Received{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

std::variant<CheckedCommand, CheckedCommand::Failure> CheckedCommand::start(
    const std::vector<std::string>& words, const ExitFilter& filter, Keeper& keeper,
    const SignalRelay& signals) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC))
    return Failure{kOwnFailure, std::string("cannot make a pipe: ") + strerror(errno)};
  const Fd trouble_read(ends[0]);
  Fd trouble_write(ends[1]);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  CheckedCommand command;
  command.pid_ = fork();
  if (command.pid_ < 0) return Failure{kOwnFailure, std::string("cannot fork: ") + strerror(errno)};
  if (command.pid_ == 0) become(argv.data(), filter, keeper.child_fd(), signals, trouble_write.get());
  command.pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, command.pid_, 0)));
  keeper.close_child_fd();
  trouble_write.reset();
  Trouble trouble{};
  ssize_t got;
  while ((got = read(trouble_read.get(), &trouble, sizeof(trouble))) < 0 && errno == EINTR) {
  }
  if (got == 0 && command.pidfd_) return command;
  if (got == 0) return Failure{kOwnFailure, "cannot watch the command: this kernel has no pidfd"};
  command.reap();
  return failure_of(trouble, words[0]);
}

void CheckedCommand::signal(int number) const {
  kill(pid_, number);
}

int CheckedCommand::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace loiter::cli

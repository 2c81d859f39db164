#include "cli/private_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "daemon/base/send_fd.h"

namespace loiter::cli {
namespace {

constexpr int kControlFd = 3;                // its number in the child
constexpr size_t kMaxLog = size_t{1} << 18;  // the last of it is kept

// How long it may take to end by itself, after SIGTERM, and to die once killed.
constexpr int kAskedMs = 5000, kTermMs = 2000, kKillMs = 10000;

Error cannot(const std::string& what) {
  return {Error::Kind::internal, "cannot " + what + ": " + strerror(errno)};
}

void default_signals() {
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &normal, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Between fork and exec. No lock is taken and nothing allocated: other threads may have stood anywhere.
[[noreturn]] void become(char* const* argv, int control, int log) {
  default_signals();
  // Out of our process group: ^C is for us, who then end it.
  setpgid(0, 0);
  // Both out of the way of the numbers they are copied to.
  control = fcntl(control, F_DUPFD, kControlFd + 1);
  log = fcntl(log, F_DUPFD, kControlFd + 1);
  const int null = open("/dev/null", O_RDWR);
  if (control >= 0 && log >= 0 && null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 &&
      dup2(log, 2) == 2 && dup2(control, kControlFd) == kControlFd) {
    syscall(SYS_close_range, kControlFd + 1, ~0U, 0);
    execv(argv[0], argv);
  }
  dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
  _exit(3);
}

// Without "loiterd: " before it: the user started loiter.
std::string last_line(std::string_view text) {
  constexpr std::string_view kOwnName = "loiterd: ";
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  if (newline != text.npos) text.remove_prefix(newline + 1);
  if (text.starts_with(kOwnName)) text.remove_prefix(kOwnName.size());
  return std::string(text);
}

}  // namespace

Result<std::string> find_loiterd_beside(const std::string& executable) {
  const std::filesystem::path directory = std::filesystem::path(executable).parent_path();
  std::vector<std::filesystem::path> candidates{directory / "loiterd"};
  if (directory.filename() == "bin") candidates.push_back(directory.parent_path() / "sbin" / "loiterd");
  for (const auto& candidate : candidates)
    if (access(candidate.c_str(), X_OK) == 0) return candidate.string();
  return Error{Error::Kind::unavailable, "no loiterd beside " + executable + " (looked for " +
                                             candidates.back().string() + "): install both together"};
}

Result<std::string> find_loiterd() {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (length < 0) return Error{Error::Kind::unavailable, "/proc/self/exe cannot be read: is /proc mounted?"};
  return find_loiterd_beside({buffer.data(), static_cast<size_t>(length)});
}

Result<std::unique_ptr<PrivateDaemon>> PrivateDaemon::start(const std::string& path,
                                                            const std::vector<std::string>& args) {
  std::array<int, 2> control, log;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()))
    return cannot("make a socket pair");
  Fd ours(control[0]), theirs(control[1]);
  if (pipe2(log.data(), O_CLOEXEC)) return cannot("make a pipe");
  Fd log_read(log[0]), log_write(log[1]);
  fcntl(log_read.get(), F_SETFL, O_NONBLOCK);

  // Of a normal life it need not tell; what it does tell reaches the user.
  std::vector<std::string> words{path, "--private", std::to_string(kControlFd), "--log-level", "warning"};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t pid = fork();
  if (pid < 0) return cannot("start " + path);
  if (pid == 0) become(argv.data(), theirs.get(), log_write.get());
  std::unique_ptr<PrivateDaemon> daemon(new PrivateDaemon);
  daemon->pid_ = pid;
  daemon->pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  daemon->control_ = std::move(ours);
  daemon->log_ = std::move(log_read);
  return daemon;
}

PrivateDaemon::~PrivateDaemon() {
  control_.reset();
  if (!wait_for_end(kAskedMs)) kill(pid_, SIGTERM);
  if (!wait_for_end(kTermMs)) kill(pid_, SIGKILL);
  wait_for_end(kKillMs);
  read_log();
  for (std::string_view rest = log_text_; !rest.empty();) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

Result<Fd> PrivateDaemon::dial() {
  std::array<int, 2> pair;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()))
    return cannot("make a socket pair");
  Fd ours(pair[0]), theirs(pair[1]);
  const char byte = 'c';
  if (send_with_fd(control_.get(), &byte, sizeof(byte), theirs.get()) < 0)
    return cannot("reach the private loiterd");
  return ours;
}

bool PrivateDaemon::read_log() {
  std::array<char, 4096> buffer;
  ssize_t got;
  while ((got = read(log_.get(), buffer.data(), buffer.size())) > 0) {
    log_text_.append(buffer.data(), static_cast<size_t>(got));
    if (log_text_.size() > kMaxLog) log_text_.erase(0, log_text_.size() - kMaxLog / 2);
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR);
}

// Reads its log meanwhile: else a full pipe would keep it from ending.
bool PrivateDaemon::wait_for_end(int milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
  bool log_open = true;
  while (!wait_status_) {
    int status = 0;
    const pid_t reaped = waitpid(pid_, &status, WNOHANG);
    if (reaped == pid_) wait_status_ = status;
    if (reaped < 0) wait_status_ = 0;  // ours no longer, so there is nothing to learn
    if (wait_status_) break;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> wait{{{pidfd_.get(), POLLIN, 0}, {log_open ? log_.get() : -1, POLLIN, 0}}};
    // Without a pidfd (no such system call here) look again every now and then.
    poll(wait.data(), wait.size(), static_cast<int>(pidfd_ ? left : std::min<long>(left, 10)));
    if (wait[1].revents != 0) log_open = read_log();
  }
  return true;
}

std::optional<Error> PrivateDaemon::why_ended() {
  // It closed a connection, or refuses one: give it the time to end.
  if (!wait_for_end(kTermMs)) return std::nullopt;
  read_log();
  std::string line = last_line(log_text_);
  log_text_.clear();
  const int status = *wait_status_;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (line.empty())
    line = WIFSIGNALED(status)
               ? std::string("the private loiterd was ended by signal ") + std::to_string(WTERMSIG(status)) +
                     " (" + strsignal(WTERMSIG(status)) + ")"
               : "the private loiterd ended with exit code " + std::to_string(code);
  return Error{code == 2 ? Error::Kind::usage : Error::Kind::unavailable, line};
}

}  // namespace loiter::cli

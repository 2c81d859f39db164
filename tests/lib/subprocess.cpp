#include "tests/lib/subprocess.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstring>
#include <stdexcept>

namespace loiter::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + strerror(errno));
}

// Between fork and exec: only system calls.
bool leave_privileges(const SpawnOptions& options) {
  for (int capability : options.drop_capabilities)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)) return false;
  if (!options.uid) return true;
  return !setgroups(0, nullptr) && !setresgid(*options.uid, *options.uid, *options.uid) &&
         !setresuid(*options.uid, *options.uid, *options.uid);
}

bool cover(const char* directory) {
  return !mount("tmpfs", directory, "tmpfs", 0, "mode=0755");
}

// Where `function` was loaded from.
const char* file_of(const void* function) {
  Dl_info info{};
  return dladdr(function, &info) ? info.dli_fname : nullptr;
}

// Libc is then a file of its own, too: the one that other processes map as well is known to whoever watches
// them, with what their root holds of debug files.
bool hide_debug_files(const char* libc) {
  const char *place = "/usr/lib/debug", *copy = "/usr/lib/debug/libc.so.6";
  if (!cover(place)) return false;
  const Fd from(open(libc, O_RDONLY | O_CLOEXEC)), to(open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  for (ssize_t n = 1; n != 0;)
    if ((n = sendfile(to.get(), from.get(), nullptr, 1 << 20)) < 0) return false;
  return !mount(copy, libc, nullptr, MS_BIND, nullptr);
}

bool arrange_tracefs(Tracefs how) {
  const char* place = "/sys/kernel/tracing";
  if (how == Tracefs::as_is) return true;
  if (how == Tracefs::hidden) return cover(place) && (cover("/sys/kernel/debug") || errno == ENOENT);
  const bool there =
      !mount("tracefs", place, "tracefs", 0, nullptr) || errno == EBUSY;  // it was there before
  return there && (how == Tracefs::mounted ||
                   !mount(nullptr, place, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr));
}

// In a mount namespace of its own.
bool cover_directories(const SpawnOptions& options, const char* libc) {
  if (!options.empty_run_dir && !options.hide_btf && !options.hide_debug_files &&
      options.tracefs == Tracefs::as_is)
    return true;
  return !unshare(CLONE_NEWNS) && !mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) &&
         (!options.empty_run_dir || cover("/run")) && (!options.hide_btf || cover("/sys/kernel/btf")) &&
         (!options.hide_debug_files || hide_debug_files(libc)) && arrange_tracefs(options.tracefs);
}

[[noreturn]] void become(const std::vector<char*>& argv, const SpawnOptions& options, pid_t parent,
                         const char* libc, int in, int out, int err) {
  // nohup ignores one of these, and a shell that starts something in the background the others.
  for (const int number : {SIGHUP, SIGINT, SIGQUIT}) signal(number, SIG_DFL);
  bool good = dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0;
  for (auto [ours, theirs] : options.keep_fds) good = good && dup2(ours, theirs) >= 0;
  good = good && cover_directories(options, libc) && leave_privileges(options);
  // After the change of user, which would clear it.
  good = good && !prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent;
  if (good) execv(argv[0], argv.data());
  dprintf(2, "cannot start %s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

std::string contents(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = pread(fd, buffer, sizeof(buffer), static_cast<off_t>(text.size()))) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

Fd memory_file(const char* name) {
  Fd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd || fcntl(fd.get(), F_SETFL, O_APPEND)) fail("memfd_create");
  return fd;
}

}  // namespace

std::string to_string(const ExitStatus& status) {
  return status.signal ? "signal " + std::to_string(status.signal) : "exit " + std::to_string(status.code);
}

Subprocess::Subprocess(const std::vector<std::string>& argv, const SpawnOptions& options) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) fail("pipe2");
  Fd child_in(in[0]), child_out(out[1]);
  stdin_.reset(in[1]);
  stdout_.reset(out[0]);
  stderr_ = memory_file("stderr");
  if (options.stdout_to_memory) stdout_ = memory_file("stdout");

  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const pid_t parent = getpid();
  const char* libc = file_of(reinterpret_cast<const void*>(&strerror));
  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0)
    become(args, options, parent, libc, child_in.get(),
           options.stdout_to_memory ? stdout_.get() : child_out.get(), stderr_.get());
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) fail("pidfd_open");
}

Subprocess::~Subprocess() {
  if (pid_ < 0 || status_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Subprocess::write_stdin(const std::string& text) {
  if (write(stdin_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail("write to a child");
}

std::string Subprocess::stdout_text() const {
  return contents(stdout_.get());
}

std::string Subprocess::stderr_text() const {
  return contents(stderr_.get());
}

void Subprocess::signal(int number) const {
  if (!status_ && kill(pid_, number)) fail("kill");
}

std::optional<ExitStatus> Subprocess::wait(std::chrono::milliseconds limit) {
  if (status_) return status_;
  pollfd poll_for{pidfd_.get(), POLLIN, 0};
  if (poll(&poll_for, 1, static_cast<int>(limit.count())) != 1) return std::nullopt;
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) fail("waitpid");
  status_ = WIFSIGNALED(status) ? ExitStatus{-1, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
  return status_;
}

::testing::AssertionResult is_one_line(const std::string& text) {
  if (text.size() > 1 && text.find('\n') == text.size() - 1) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "not one line: " << text;
}

RunResult run(const std::vector<std::string>& argv, const SpawnOptions& options,
              std::chrono::milliseconds limit) {
  SpawnOptions captured = options;
  captured.stdout_to_memory = true;
  Subprocess process(argv, captured);
  process.close_stdin();
  const std::optional<ExitStatus> status = process.wait(limit);
  if (!status)
    throw std::runtime_error(argv[0] + " did not end; it wrote: " + process.stdout_text() +
                             process.stderr_text());
  return {*status, process.stdout_text(), process.stderr_text()};
}

}  // namespace loiter::test

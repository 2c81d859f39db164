#include "cli/check/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/check/look.h"
#include "cli/check/report.h"
#include "cli/output.h"

namespace loiter::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// What runs for less has no time to be in a deadlock that two censuses see; judging costs, if little.
constexpr milliseconds kJudgeAfter{1000};
constexpr milliseconds kGraceStep{100};
constexpr milliseconds kTermPatience{5000};  // between SIGTERM and SIGKILL
constexpr int kKeeperPatienceMs = 200;
constexpr size_t kMostProcesses = 16;  // of a family that hangs are told

std::string comm_of(uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string comm;
  std::getline(file, comm);
  return comm;
}

Clock::duration length(uint64_t ns) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(ns));
}

struct Held {
  HeldExit exit;
  Clock::time_point grace_end;
};

class CheckRun {
 public:
  CheckRun(Client& client, const Options& options, Keeper& keeper, CheckedCommand& command,
           SignalRelay& signals)
      : options_(options),
        keeper_(keeper),
        command_(command),
        signals_(signals),
        look_(client, {options.ignore, options.count_runtimes}),
        begin_(Clock::now()) {
    report_.command = options.words;
    report_.pid = static_cast<uint32_t>(command.pid());
    comm_ = comm_of(report_.pid);
  }

  CheckReport run() {
    while (!poll_once()) {
    }
    const int status = command_.reap();
    report_.ran_ns = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin_).count());
    if (WIFSIGNALED(status)) report_.signal = WTERMSIG(status);
    if (WIFEXITED(status)) report_.exit_code = WEXITSTATUS(status);
    take_held();  // of others: what they called before is looked at, whoever comes later is let go
    hurried_ = true;
    step_held();
    if (!seen_end_ && !report_.ended_after_ns) add(look_.not_seen(report_.pid, comm_));
    report_.others_live = !keeper_.leave(kKeeperPatienceMs);
    return std::move(report_);
  }

 private:
  // True: the command has ended.
  bool poll_once() {
    std::array<pollfd, 3> ask{
        {{command_.pidfd(), POLLIN, 0}, {keeper_.fd(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
    if (keeper_gone_) ask[1].fd = -1;
    poll(ask.data(), ask.size(), milliseconds_to_wait());
    if (ask[1].revents != 0) {
      keeper_gone_ = (ask[1].revents & POLLHUP) && !(ask[1].revents & POLLIN);
      take_held();
    }
    if (ask[2].revents != 0) pass_signals_on();  // knowing whether the command has come to its end
    step_held();
    if (ask[0].revents != 0) return true;
    act_on_time();
    return false;
  }

  int milliseconds_to_wait() const {
    if (!held_.empty()) return static_cast<int>(kGraceStep.count());
    std::optional<Clock::time_point> next;
    const auto consider = [&](Clock::time_point when) { next = next ? std::min(*next, when) : when; };
    if (!judging_) consider(begin_ + kJudgeAfter);
    if (options_.within_ns && !seen_end_ && !report_.ended_after_ns)
      consider(begin_ + length(*options_.within_ns));
    if (kill_at_) consider(*kill_at_);
    if (!next) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*next - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
  }

  void pass_signals_on() {
    while (const auto received = signals_.next()) {
      // Whoever sends one to a process at its end is tired of waiting: it is let go, and told of.
      hurried_ = true;
      if (!received->by_terminal && !seen_end_) command_.signal(received->number);
    }
  }

  void take_held() {
    while (const auto exit = keeper_.next()) {
      report_.not_held += exit->passed_over - passed_over_;
      passed_over_ = exit->passed_over;
      if (exit->pid == report_.pid) {
        seen_end_ = true;
        comm_ = comm_of(exit->pid);
      }
      held_.push_back({*exit, Clock::now() + length(options_.grace_ns)});
    }
  }

  void step_held() {
    std::vector<Held> left;
    for (const Held& held : std::exchange(held_, {})) {
      if (is_due(held))
        finish(held.exit);
      else
        left.push_back(held);
    }
    held_ = std::move(left);
    hurried_ = hurried_ && !held_.empty();
  }

  bool is_due(const Held& held) {
    if (hurried_ || report_.ended_after_ns || Clock::now() >= held.grace_end) return true;
    const Result<size_t> live = look_.count_live(held.exit);
    return !live || *live == 0;
  }

  void finish(const HeldExit& exit) {
    const bool wanted = !report_.ended_after_ns;  // it was told as hanging already
    const std::optional<bool> plain =
        wanted && exit.pid != report_.pid ? look_.is_plain(exit) : std::optional<bool>();
    if (wanted && !plain) look_at(exit);
    if (plain == false) ++report_.short_lived;
    keeper_.let_go(exit.id);
  }

  void look_at(const HeldExit& exit) {
    Result<ProcessVerdict> verdict = look_.at_end(exit);
    // A signal may have killed it while it was held.
    const bool gone = kill(static_cast<pid_t>(exit.pid), 0) != 0 || has_ended(exit);
    if (verdict || !gone) return add(std::move(verdict));
    if (exit.pid == report_.pid)
      seen_end_ = false;
    else
      ++report_.not_held;
  }

  bool has_ended(const HeldExit& exit) const {
    pollfd ended{command_.pidfd(), POLLIN, 0};
    return exit.pid == report_.pid && poll(&ended, 1, 0) == 1;
  }

  void add(Result<ProcessVerdict> verdict) {
    if (verdict)
      report_.processes.push_back(std::move(*verdict));
    else
      report_.troubles.push_back(verdict.error().message);
  }

  void act_on_time() {
    const auto now = Clock::now();
    if (!judging_ && now >= begin_ + kJudgeAfter) {
      judging_ = true;
      if (Status judged = look_.begin_judging(); !judged) report_.troubles.push_back(judged.error().message);
      comm_ = comm_of(report_.pid);
    }
    if (options_.within_ns && !seen_end_ && !report_.ended_after_ns &&
        now >= begin_ + length(*options_.within_ns))
      end_it();
    if (kill_at_ && now >= *kill_at_) {
      kill_at_.reset();
      for (const Fd& process : to_end_) send_signal(process, SIGKILL);
    }
  }

  static void send_signal(const Fd& process, int number) {
    syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
  }

  // Opens what is to be ended: the command, with --follow all that descend from it.
  std::vector<uint32_t> hold_family() {
    std::vector<uint32_t> family{report_.pid};
    if (options_.follow)
      if (Result<std::vector<uint32_t>> all = look_.family(report_.pid)) family = std::move(*all);
    std::vector<Fd> opened;
    opened.reserve(family.size());
    for (const uint32_t pid : family) opened.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    // A number may have passed on to another process before it was opened. Who is of the family in a later
    // census, and has not ended since, was it all the while.
    std::vector<uint32_t> still = family;
    if (family.size() > 1)
      if (Result<std::vector<uint32_t>> again = look_.family(report_.pid)) still = std::move(*again);
    std::vector<uint32_t> held;
    for (size_t i = 0; i < family.size(); ++i) {
      pollfd ended{opened[i].get(), POLLIN, 0};
      if (!opened[i] || std::ranges::find(still, family[i]) == still.end() || poll(&ended, 1, 0) != 0)
        continue;
      held.push_back(family[i]);
      to_end_.push_back(std::move(opened[i]));
    }
    return held;
  }

  // It is not done in time: why not, then an end to it.
  void end_it() {
    const std::vector<uint32_t> family = hold_family();
    std::vector<Result<ProcessVerdict>> verdicts;
    for (size_t i = 0; i < std::min(family.size(), kMostProcesses); ++i)
      verdicts.push_back(look_.not_done(family[i], *options_.within_ns));
    // It may have come to its end while it was looked at: then it was done, if late.
    report_.ended_after_ns = options_.within_ns;
    for (Result<ProcessVerdict>& verdict : verdicts) {
      // A child of it may be gone by now.
      if (verdict || &verdict == verdicts.data()) add(std::move(verdict));
    }
    for (const Fd& process : to_end_) {
      send_signal(process, SIGTERM);
      send_signal(process, SIGCONT);  // a stopped one would not hear of it
    }
    kill_at_ = Clock::now() + kTermPatience;
  }

  const Options& options_;
  Keeper& keeper_;
  CheckedCommand& command_;
  SignalRelay& signals_;
  EndLook look_;
  Clock::time_point begin_;
  CheckReport report_;
  std::vector<Held> held_;
  std::vector<Fd> to_end_;
  std::optional<Clock::time_point> kill_at_;
  std::string comm_;
  uint32_t passed_over_ = 0;
  bool judging_ = false, seen_end_ = false, hurried_ = false, keeper_gone_ = false;
};

Result<Fd> open_file(const std::optional<std::string>& path) {
  if (!path) return Fd();
  Fd file(open(path->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) return Error{Error::Kind::unavailable, "cannot write " + *path + ": " + strerror(errno)};
  return file;
}

void write_file(const Fd& file, const std::string& text, const std::string& path, CheckReport& report) {
  if (file && !print(file.get(), text))
    report.troubles.push_back("cannot write " + path + ": " + strerror(errno));
}

}  // namespace

Result<CheckEnd> run_check(Client& client, const Options& options, const Inherited& inherited) {
  // All that can fail without the command comes before it.
  Result<Fd> json_file = open_file(options.json_file);
  if (!json_file) return json_file.error();
  Result<Fd> junit_file = open_file(options.junit_file);
  if (!junit_file) return junit_file.error();
  Result<ExitFilter> filter = ExitFilter::make();
  if (!filter) return filter.error();
  Result<Keeper> keeper = Keeper::start(options.follow);
  if (!keeper) return keeper.error();
  SignalRelay signals(inherited);
  auto started = CheckedCommand::start(options.words, *filter, *keeper, signals);
  if (const CheckedCommand::Failure* failure = std::get_if<CheckedCommand::Failure>(&started)) {
    complain(failure->message);
    keeper->leave(kKeeperPatienceMs);
    return CheckEnd{failure->code, 0};
  }
  CheckReport report = CheckRun(client, options, *keeper, std::get<CheckedCommand>(started), signals).run();
  write_file(*json_file,
             check_document(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
             options.json_file.value_or(""), report);
  write_file(*junit_file, check_junit(report), options.junit_file.value_or(""), report);
  for (const std::string& line : check_lines(report)) print(STDERR_FILENO, line + "\n");
  return CheckEnd{check_exit_code(report), report.ended_after_ns ? 0 : report.signal};
}

void die_by(int signal_number) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  signal(signal_number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal_number);
  _exit(128 + signal_number);
}

}  // namespace loiter::cli

#include "cli/top/top.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "cli/output.h"
#include "cli/top/app.h"
#include "cli/top/feed.h"
#include "cli/top/signals.h"
#include "cli/top/terminal.h"
#include "daemon/base/clock.h"

namespace loiter {
namespace {

using namespace top;

constexpr int kDone = 0;
constexpr int kNotPossible = 3;
constexpr uint64_t kPatienceNs = 5'000'000'000;  // a host's daemon may be restarted meanwhile
constexpr int kTickMs = 1000;                    // the age of an old picture goes on

int report(const Error& error) {
  cli::complain(error.message);
  return kNotPossible;
}

// Ties the parts together; returns what ended it.
class Loop {
 public:
  Loop(Client& client, const TopOptions& options, Signals& signals, Terminal& terminal)
      : signals_(signals),
        terminal_(terminal),
        app_(options.interval_ns, client.is_private() ? 0 : kPatienceNs),
        feed_(client, options) {}

  int run() {
    while (!app_.done() && !app_.failure() && quit_signal_ == 0) {
      feed_.want(app_.wanted());
      terminal_.paint(app_.frame(terminal_.rows(), terminal_.columns(), boottime_now_ns()));
      wait();
    }
    terminal_.leave();
    int code = quit_signal_ == 0 || quit_signal_ == SIGINT ? kDone : 128 + quit_signal_;
    if (app_.failure()) code = report(*app_.failure());
    // A daemon that hangs must not keep the user: the thread that waits for it ends with the process.
    if (!feed_.stop()) _exit(code);
    return code;
  }

 private:
  void wait() {
    std::array<pollfd, 3> fds{
        {{STDIN_FILENO, POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {feed_.fd(), POLLIN, 0}}};
    if (poll(fds.data(), fds.size(), kTickMs) < 0) fds = {};
    answer_signals(signals_.take());
    for (const Reply& reply : feed_.take()) app_.on_reply(reply, boottime_now_ns());
    bool any = false;
    while (auto key = terminal_.read_key()) {
      any = true;
      if (key->code == KeyCode::redraw) terminal_.redraw();
      app_.on_key(*key);
    }
    // Readable and yet no key: the terminal has hung up.
    if (!any && fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) quit_signal_ = SIGHUP;
  }

  void answer_signals(const Signals::Pending& pending) {
    if (pending.quit) quit_signal_ = pending.quit;
    if (pending.suspend) {
      terminal_.leave();
      signals_.stop_here();
      terminal_.resume();
    } else if (pending.resumed) {
      terminal_.redraw();
    }
    if (pending.resized || pending.resumed) terminal_.resized();
  }

  Signals& signals_;
  Terminal& terminal_;
  App app_;
  Feed feed_;
  int quit_signal_ = 0;
};

}  // namespace

int run_top(Client& client, const TopOptions& options) {
  Signals signals;
  Result<std::unique_ptr<Terminal>> terminal = Terminal::enter();
  if (!terminal) return report(terminal.error());
  return Loop(client, options, signals, **terminal).run();
}

}  // namespace loiter

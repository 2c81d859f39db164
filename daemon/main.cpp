// loiterd: wires the parts together and runs until it is told to end.
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/version.h"
#include "daemon/collector.h"
#include "daemon/config_keeper.h"
#include "daemon/control.h"
#include "daemon/history_parts.h"
#include "daemon/inspect/inspector.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/judge.h"
#include "daemon/options.h"
#include "daemon/privileges.h"
#include "daemon/pthread_watch.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/features.h"
#include "daemon/sensors/uprobe_events.h"
#include "daemon/serve/api.h"
#include "daemon/serve/event_hub.h"
#include "daemon/serve/http_server.h"
#include "daemon/serve/listen_socket.h"
#include "daemon/snapshot_lookup.h"

namespace loiter {
namespace {

void start_log(const DaemonOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("loiterd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %n %l: %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  install_libbpf_log();
}

// Blocked before any thread is made, so that all of them leave these to the loop.
Fd block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // the history's write tells
  return Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::shared_ptr<DaemonFacts> gather_facts(const ConfigKeeper& config) {
  const DaemonOptions& options = config.current()->options;
  auto facts = std::make_shared<DaemonFacts>();
  utsname name{};
  uname(&name);
  facts->is_private = options.private_fd >= 0;
  facts->kernel_threads = options.kernel_threads;
  facts->threshold_ns = options.threshold_ns;
  facts->config = config.facts();
  facts->census_interval_ns = options.interval_ns;
  facts->started_boot_ns = boottime_now_ns();
  facts->host_name = name.nodename;
  facts->kernel = name.release;
  facts->architecture = name.machine;
  facts->cpus = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  return facts;
}

int fail(const Error& error) {
  std::cerr << "loiterd: " << error.message << '\n';
  return error.kind == Error::Kind::usage ? 2 : 3;
}

// Whether there was a signal that ends the daemon. `hangup` is called on SIGHUP.
bool take_signals(const Fd& signals, const std::function<void()>& hangup) {
  signalfd_siginfo info{};
  bool ends = false;
  while (read(signals.get(), &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGHUP)
      hangup();
    else
      ends = true;
  }
  return ends;
}

int run(ConfigKeeper& config) {
  const DaemonOptions options = config.current()->options;
  Fd signals = block_signals();
  std::optional<ControlSocket> control;
  if (options.private_fd >= 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    control.emplace(Fd(options.private_fd));
  }
  std::optional<ListenSocket> socket;
  if (!control) {
    auto made = ListenSocket::make(options.socket_path);
    if (!made) return fail(made.error());
    socket.emplace(std::move(*made));
  }
  auto capabilities = reduce_privileges();
  if (!capabilities) return fail(capabilities.error());
  if (std::string why = obstacle(); !why.empty()) return fail({Error::Kind::unavailable, why});

  Board board;
  EventHub hub;
  std::optional<Inspector> inspector;
  remove_stale_uprobe_events();
  PthreadWatch watch({.mode = options.uprobes,
                      .probes = {.way = options.uprobe_way},
                      .find = [&](const InspectRequest& request,
                                  Inspector::Done done) { inspector->submit(request, std::move(done)); },
                      .hub = &hub});
  auto collector = Collector::open(options, board, hub, watch);
  if (!collector) return fail(collector.error());
  std::shared_ptr<DaemonFacts> facts = gather_facts(config);
  facts->capabilities = std::move(*capabilities);

  inspector.emplace(std::make_shared<SnapshotLookup>(board), (*collector)->slices());
  VerdictBoard verdicts;
  const auto inspect = [&](const InspectRequest& request, Inspector::Done done) {
    inspector->submit(request, std::move(done));
  };
  HistoryParts history(options, control.has_value());
  Judge judge({.board = board,
               .verdicts = verdicts,
               .hub = hub,
               .inspect = inspect,
               .config = config.current(),
               .interval_ns = options.interval_ns,
               .is_private = control.has_value(),
               .recorder = history.recorder()});
  Api api(
      board, Procfs(), [&] { return watch.measure(); }, &verdicts, [&] { return history.status(); });
  auto server = HttpServer::start({.api = api,
                                   .board = board,
                                   .hub = hub,
                                   .request_census = [&] { (*collector)->request_census(); },
                                   .inspect = inspect,
                                   .verdicts = &verdicts,
                                   .request_verdict = [&](uint64_t mono_ns) { judge.request(mono_ns); },
                                   .attach = [&](uint32_t pid) { return watch.attach(pid); },
                                   .history = history.ask()},
                                  socket ? socket->take_fd() : Fd());
  if (!server) return fail(server.error());
  // However this ends: these call back the server and the watch, and so stop before them.
  std::shared_ptr<void> stop_first(nullptr, [&](void*) {
    judge.stop();
    inspector->stop();
    history.stop_reading();
    history.stop_writing();
  });
  history.start();
  judge.start([&] { (*server)->notify_published(); });

  EventLoop loop;
  const auto reload = [&] {
    if (control) return;  // its terminal went, and with that whoever asked
    config.reload();
    const ConfigPtr current = config.current();
    spdlog::set_level(spdlog::level::from_str(current->options.log_level));
    judge.set_config(current);
    (*collector)->change_facts([&](DaemonFacts& facts) {
      facts.config = config.facts();
      facts.threshold_ns = current->options.threshold_ns;
    });
    (*collector)->request_census();
  };
  loop.add(signals.get(), [&] {
    if (take_signals(signals, reload)) loop.stop();
  });
  if (control)
    loop.add(control->fd(), [&] {
      if (!control->receive([&](Fd connection) { (*server)->add_connection(std::move(connection)); }))
        loop.stop();
    });
  OriginWork origins{[&](const std::vector<BirthSlice>& births) { inspector->add_births(births); },
                     [&] { return inspector->take_origins(); }};
  Status started = (*collector)->start(loop, facts, std::move(origins), [&] {
    (*server)->notify_published();
    judge.on_picture();
  });
  if (!started) return fail(started.error());
  spdlog::info("loiterd {} watches this host{}{}", kVersion, control ? "" : ", serving on ",
               control ? "" : options.socket_path);
  loop.run();
  stop_first.reset();
  watch.stop();
  // Its file goes while the socket is still open: closed, its inode could be another daemon's by then.
  socket.reset();
  spdlog::info("loiterd ends");
  return 0;
}

}  // namespace
}  // namespace loiter

int main(int argc, char** argv) {
  // A helper of a daemon, started by it and by nobody else (daemon/inspect/helper_process.h).
  if (argc == 3 && std::strcmp(argv[1], "--helper") == 0)
    return std::strcmp(argv[2], "parser") == 0 ? loiter::run_parser_child() : loiter::run_opener_child();
  int exit_code = 0;
  std::optional<loiter::DaemonOptions> flags = loiter::parse_daemon_options(argc, argv, exit_code);
  if (!flags) return exit_code;
  if (flags->check_config) return loiter::check_config(*flags);
  try {
    auto config = loiter::ConfigKeeper::start(*flags);
    if (const auto* errors = std::get_if<loiter::ConfigErrors>(&config)) {
      for (const std::string& line : *errors)
        std::cerr << "loiterd: " << loiter::escape_for_terminal(line) << '\n';
      return 2;
    }
    auto& keeper = std::get<loiter::ConfigKeeper>(config);
    loiter::start_log(keeper.current()->options);
    keeper.log_warnings();
    return loiter::run(keeper);
  } catch (const std::exception& error) {
    std::cerr << "loiterd: " << error.what() << '\n';
    return 3;
  }
}

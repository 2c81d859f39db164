#include "daemon/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <iostream>
#include <map>

#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"
#include "daemon/base/version.h"

namespace loiter {
namespace {

constexpr uint64_t kMinIntervalNs = 100'000'000;

CLI::Option* add_duration(CLI::App& app, const std::string& name, uint64_t& value, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, name](const std::string& text) {
            std::optional<uint64_t> ns = parse_duration(text);
            if (!ns) throw CLI::ValidationError(name, duration_error(text));
            value = *ns;
          },
          help + " [" + format_duration(value) + "]")
      ->type_name("D");
}

// Not in --help: for tests of what other kernels need. Hidden options have no name in CLI11's own messages.
void add_uprobe_way(CLI::App& app, DaemonOptions& options) {
  static const std::map<std::string, UprobeWay> kWays{
      {"auto", UprobeWay::automatic}, {"multi", UprobeWay::multi}, {"tracefs", UprobeWay::tracefs}};
  app.add_option_function<std::string>("--uprobe-way",
                                       [&options](const std::string& text) {
                                         const auto way = kWays.find(text);
                                         if (way == kWays.end())
                                           throw CLI::ValidationError("--uprobe-way",
                                                                      "auto, multi or tracefs");
                                         options.uprobe_way = way->second;
                                       })
      ->group("");
}

void add_bounds(CLI::App& app, DaemonOptions& options) {
  app.add_option("--ring-size", options.ring_size,
                 "bytes of the event ring buffer: a power of two, a page or more")
      ->capture_default_str();
  app.add_option("--max-threads", options.max_threads, "live threads kept; more are counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-ended", options.max_ended, "ended threads kept")->capture_default_str();
  add_duration(app, "--keep-ended", options.keep_ended_ns, "how long ended threads are kept");
}

void check(const DaemonOptions& options) {
  if (!std::has_single_bit(options.ring_size) || options.ring_size < static_cast<uint32_t>(getpagesize()))
    throw CLI::ValidationError("--ring-size: a power of two of " + std::to_string(getpagesize()) +
                               " or more is needed");
  if (options.interval_ns < kMinIntervalNs) throw CLI::ValidationError("--interval: 100ms or more is needed");
}

}  // namespace

std::optional<DaemonOptions> parse_daemon_options(int argc, char** argv, int& exit_code) {
  DaemonOptions options;
  CLI::App app{
      "loiterd watches every thread of this host and serves what it sees to `loiter`.\n"
      "Lengths of time (D) are a number and a unit: ns, us, ms, s, m, h, d.",
      "loiterd"};
  app.set_version_flag("--version", std::string("loiterd ") + kVersion);
  app.add_option("--socket", options.socket_path, "the Unix socket to serve on")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--private", options.private_fd,
                 "serve the process that holds the other end of this socket, and end with it")
      ->check(CLI::NonNegativeNumber)
      ->type_name("FD");
  add_duration(app, "--threshold", options.threshold_ns, "a thread blocked for so long is overdue");
  add_duration(app, "--interval", options.interval_ns, "time between two censuses");
  app.add_flag("--kernel-threads", options.kernel_threads, "watch kernel threads as well");
  std::map<std::string, EventReader::Tracepoints> hooks{{"auto", EventReader::Tracepoints::automatic},
                                                        {"btf", EventReader::Tracepoints::btf},
                                                        {"raw", EventReader::Tracepoints::raw}};
  app.add_option("--tracepoints", options.tracepoints, "how events are hooked: auto, btf or raw")
      ->transform(CLI::CheckedTransformer(hooks, CLI::ignore_case).description(""))
      ->type_name("HOW");
  std::map<std::string, UprobeMode> uprobes{
      {"attached", UprobeMode::attached}, {"all", UprobeMode::all}, {"none", UprobeMode::none}};
  app.add_option(
         "--uprobes", options.uprobes,
         "where calls of thread libraries are probed: in processes that somebody attaches to "
         "(attached), all, "
         "none; a hit costs its thread microseconds (loiter doctor); before Linux 6.10 tracefs must be "
         "mounted and kernel.perf_event_paranoid no more than 2")
      ->transform(CLI::CheckedTransformer(uprobes, CLI::ignore_case).description(""))
      ->type_name("WHERE");
  add_uprobe_way(app, options);
  add_bounds(app, options);
  app.add_option("--log-level", options.log_level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}).description(""))
      ->type_name("LEVEL")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    check(options);
    return options;
  } catch (const CLI::Success& success) {  // --help, --version
    exit_code = app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    std::cerr << "loiterd: " << escape_for_terminal(message.substr(0, message.find('\n')))
              << " (see loiterd --help)\n";
    exit_code = 2;
  }
  return std::nullopt;
}

}  // namespace loiter

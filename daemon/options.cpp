#include "daemon/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "daemon/base/bytes.h"
#include "daemon/base/version.h"
#include "daemon/settings.h"

namespace loiter {
namespace {

void take(DaemonOptions& options, const Setting& setting, const std::string& text) {
  const std::string wrong = setting.set(options, text);
  if (!wrong.empty()) throw CLI::ValidationError(setting.flag(), wrong);
  options.given[setting.name] = text;
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

void add_setting(CLI::App& app, DaemonOptions& options, const Setting& setting) {
  if (setting.type == SettingType::flag) {
    app.add_flag_callback(
        setting.flag(), [&] { take(options, setting, "true"); }, setting.help);
    return;
  }
  app.add_option_function<std::string>(
         setting.flag(), [&](const std::string& text) { take(options, setting, text); }, setting.help)
      ->type_name(setting.type_name)
      ->default_str(setting.text(options));
}

}  // namespace

std::optional<DaemonOptions> parse_daemon_options(int argc, char** argv, int& exit_code) {
  DaemonOptions options;
  CLI::App app{
      "loiterd watches every thread of this host and serves what it sees to `loiter`.\n"
      "Lengths of time (D) are a number and a unit: ns, us, ms, s, m, h, d. Flags win over the "
      "configuration file.",
      "loiterd"};
  app.set_version_flag("--version", std::string("loiterd ") + kVersion);
  app.add_option("--config", options.config_path, "the configuration file (/etc/loiter/loiterd.toml)")
      ->check([](const std::string& path) { return path.empty() ? "the path is empty" : ""; })
      ->type_name("PATH");
  app.add_flag("--check-config", options.check_config, "check the configuration file, and end");
  app.add_option("--private", options.private_fd,
                 "serve the process that holds the other end of this socket, and end with it")
      ->check(CLI::NonNegativeNumber)
      ->type_name("FD");
  for (const Setting& setting : settings()) add_setting(app, options, setting);
  add_uprobe_way(app, options);
  try {
    app.parse(argc, argv);
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

#include "daemon/config_keeper.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"

namespace loiter {
namespace {

std::string joined(const std::vector<std::string>& lines, const char* between) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : between) + line;
  return text;
}

}  // namespace

ConfigKeeper::ConfigKeeper(DaemonOptions flags, Config first) : flags_(std::move(flags)) {
  take(std::move(first));
  first_ = current_;
}

std::variant<ConfigKeeper, ConfigErrors> ConfigKeeper::start(const DaemonOptions& flags) {
  std::variant<Config, ConfigErrors> loaded = load_config(flags);
  if (Config* config = std::get_if<Config>(&loaded)) return ConfigKeeper(flags, std::move(*config));
  auto& errors = std::get<ConfigErrors>(loaded);
  if (flags.private_fd < 0 || !flags.config_path.empty()) return std::move(errors);
  Config config = config_of(flags);
  for (const std::string& line : errors) config.warnings.push_back("not taken: " + line);
  ConfigKeeper keeper(flags, std::move(config));
  keeper.facts_.failed = joined(errors, "\n");
  return keeper;
}

void ConfigKeeper::take(Config config) {
  facts_ = {.path = config.path,
            .loaded_boot_ns = config.found ? boottime_now_ns() : 0,
            .rules = config.rules.size(),
            .failed = {}};
  current_ = std::make_shared<const Config>(std::move(config));
}

void ConfigKeeper::log_warnings() const {
  for (const std::string& warning : current_->warnings)
    spdlog::warn("configuration: {}", escape_for_terminal(warning));
}

void ConfigKeeper::reload() {
  std::variant<Config, ConfigErrors> loaded = load_config(flags_);
  if (const ConfigErrors* errors = std::get_if<ConfigErrors>(&loaded)) {
    for (const std::string& line : *errors) spdlog::error("configuration: {}", escape_for_terminal(line));
    spdlog::error("the configuration is not taken, the one before it stays");
    facts_.failed = joined(*errors, "\n");
    return;
  }
  take(std::move(std::get<Config>(loaded)));
  log_warnings();
  if (const auto names = settings_that_need_a_restart(*first_, *current_); !names.empty())
    spdlog::warn("configuration: {} differ{} from what runs: loiterd must be restarted for that",
                 joined(names, ", "), names.size() == 1 ? "s" : "");
  if (current_->found)
    spdlog::info("configuration loaded again: {} rules", current_->rules.size());
  else
    spdlog::info("there is no configuration file any more: all is as built in");
}

}  // namespace loiter

#include "daemon/config.h"

#include <iostream>

#include "daemon/base/bytes.h"
#include "daemon/config_file.h"
#include "daemon/settings.h"

namespace loiter {

Config config_of(const DaemonOptions& flags) {
  Config config;
  config.path = flags.config_path.empty() ? kDefaultConfigPath : flags.config_path;
  config.options = flags;
  config.thresholds = Thresholds::of(flags.threshold_ns);
  return config;
}

std::variant<Config, ConfigErrors> load_config(const DaemonOptions& flags) {
  Config config = config_of(flags);
  Result<ConfigText> read = read_config_file(config.path);
  if (!read) return ConfigErrors{config.path + ": " + read.error().message};
  if (read->missing && flags.config_path.empty()) return config;
  if (read->missing) return ConfigErrors{config.path + ": there is no such file"};
  auto parsed = parse_config(read->text, config.path, flags);
  if (Config* made = std::get_if<Config>(&parsed); made && !read->warning.empty())
    made->warnings.push_back(config.path + ": " + read->warning);
  return parsed;
}

int check_config(const DaemonOptions& flags) {
  const std::variant<Config, ConfigErrors> loaded = load_config(flags);
  if (const ConfigErrors* errors = std::get_if<ConfigErrors>(&loaded)) {
    for (const std::string& line : *errors) std::cerr << escape_for_terminal(line) << '\n';
    return 2;
  }
  const auto& config = std::get<Config>(loaded);
  for (const std::string& warning : config.warnings) std::cerr << escape_for_terminal(warning) << '\n';
  std::cout << escape_for_terminal(config.path);
  if (!config.found)
    std::cout << ": not there, so all is as built in\n";
  else
    std::cout << ": ok, " << config.rules.size() << (config.rules.size() == 1 ? " rule\n" : " rules\n");
  return 0;
}

std::vector<std::string> settings_that_need_a_restart(const Config& running, const Config& loaded) {
  std::vector<std::string> names;
  for (const Setting& setting : settings())
    if (!setting.at_run_time && setting.text(running.options) != setting.text(loaded.options))
      names.emplace_back(setting.name);
  return names;
}

}  // namespace loiter

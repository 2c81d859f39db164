// The configuration file: what it says, with the flags that win over it; or all that is wrong with it.
//
// Values, immutable once made; read by any thread. Loading reads a file and the user database: only the main
// thread does it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/detect/rules.h"
#include "daemon/detect/thresholds.h"
#include "daemon/options.h"

namespace loiter {

inline constexpr const char* kDefaultConfigPath = "/etc/loiter/loiterd.toml";
inline constexpr size_t kMostConfigBytes = 1 << 20;
inline constexpr size_t kMostRules = 1000;

struct Config {
  std::string path = {};  // where it is looked for
  bool found = false;     // false: there is no file; all is built in or from flags
  DaemonOptions options = {};
  Thresholds thresholds = {};
  Rules rules = {};
  std::vector<std::string> warnings = {};  // lines for the log: bytes
};
using ConfigPtr = std::shared_ptr<const Config>;

// All that is wrong, in the order of the file: "FILE:LINE:COLUMN: what is wrong, what would be right". Bytes.
// Not empty.
using ConfigErrors = std::vector<std::string>;

// Without a file: the flags alone.
Config config_of(const DaemonOptions& flags);

// What a text says, which came from `path`.
std::variant<Config, ConfigErrors> parse_config(std::string_view text, const std::string& path,
                                                const DaemonOptions& flags);

// From the file that the flags name, or the usual one, which may be missing.
std::variant<Config, ConfigErrors> load_config(const DaemonOptions& flags);

// --check-config: tells on stdout that all is well, or on stderr what is not. The exit code: 0 or 2.
int check_config(const DaemonOptions& flags);

// Settings that differ and that a running daemon cannot take over, by name.
std::vector<std::string> settings_that_need_a_restart(const Config& running, const Config& loaded);

}  // namespace loiter

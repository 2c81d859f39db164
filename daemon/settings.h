// What can be set of the daemon, each setting once: its name in the configuration file, its flag on the
// command line ("--" and the name with dashes), what is taken and what is not, and whether it may change
// while the daemon runs.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/detect/thresholds.h"
#include "daemon/options.h"

namespace loiter {

enum class SettingType : uint8_t { length, number, flag, word, path };

struct Setting {
  const char* name;
  SettingType type;
  const char* type_name;  // in the help
  const char* help;
  bool at_run_time;  // takes effect when the configuration is loaded again
  // Sets it from its text. Empty: done; else what is wrong with the text and what would be right.
  std::string (*set)(DaemonOptions& options, const std::string& text);
  std::string (*text)(const DaemonOptions& options);

  std::string flag() const;
};
std::span<const Setting> settings();
const Setting* find_setting(std::string_view name);

// What the table [thresholds] of the configuration file holds. Lengths follow from the setting `threshold`
// where they are not given.
struct ThresholdSetting {
  const char* name;
  SettingType type;  // length or number
  std::string (*set)(Thresholds& thresholds, const std::string& text);
  std::string (*text)(const Thresholds& thresholds);
};
std::span<const ThresholdSetting> threshold_settings();
const ThresholdSetting* find_threshold_setting(std::string_view name);

// The length in `text`; else `complaint` says what is wrong with it.
uint64_t length_in(const std::string& text, std::string& complaint);

}  // namespace loiter

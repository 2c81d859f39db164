#include "daemon/settings.h"

#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <utility>

#include "daemon/base/duration.h"

namespace loiter {
namespace {

constexpr uint64_t kMinIntervalNs = 100'000'000;
constexpr uint64_t kMinHistoryIntervalNs = 1'000'000'000;
constexpr uint64_t kMinHistoryBytes = 4 << 20;
constexpr uint64_t kMostHistoryBytes = uint64_t{1} << 40;

template <typename Number>
std::string set_number(Number& value, const std::string& text, uint64_t least,
                       uint64_t most = std::numeric_limits<Number>::max()) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < least || number > most)
    return "'" + text + "' is not a whole number from " + std::to_string(least) + " to " +
           std::to_string(most);
  value = static_cast<Number>(number);
  return "";
}

std::string set_length(uint64_t& value, const std::string& text, uint64_t least_ns = 0) {
  std::string complaint;
  const uint64_t ns = length_in(text, complaint);
  if (complaint.empty() && ns < least_ns)
    complaint = "'" + text + "' is too short: " + format_duration(least_ns) + " or more is needed";
  if (complaint.empty()) value = ns;
  return complaint;
}

// Such as set_length takes it, and gives the same again.
std::string exact_length(uint64_t ns) {
  constexpr std::array<std::pair<uint64_t, const char*>, 6> kUnits{{{3'600'000'000'000, "h"},
                                                                    {60'000'000'000, "m"},
                                                                    {1'000'000'000, "s"},
                                                                    {1'000'000, "ms"},
                                                                    {1'000, "us"},
                                                                    {1, "ns"}}};
  if (ns == 0) return "0s";
  const auto* unit = std::ranges::find_if(kUnits, [&](const auto& one) { return ns % one.first == 0; });
  return std::to_string(ns / unit->first) + unit->second;
}

template <typename Value>
using Words = std::span<const std::pair<const char*, Value>>;

template <typename Value, typename Into>
std::string set_word(Words<Value> words, Into& value, const std::string& text) {
  std::string names;
  for (const auto& [name, meant] : words) {
    if (strcasecmp(name, text.c_str()) == 0) {
      value = meant;
      return "";
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return "'" + text + "' is none of " + names;
}

using Tracepoints = EventReader::Tracepoints;
constexpr std::array<std::pair<const char*, Tracepoints>, 3> kTracepoints{
    {{"auto", Tracepoints::automatic}, {"btf", Tracepoints::btf}, {"raw", Tracepoints::raw}}};
constexpr std::array<std::pair<const char*, UprobeMode>, 3> kUprobes{
    {{"attached", UprobeMode::attached}, {"all", UprobeMode::all}, {"none", UprobeMode::none}}};
constexpr std::array<std::pair<const char*, const char*>, 6> kLogLevels{{{"trace", "trace"},
                                                                         {"debug", "debug"},
                                                                         {"info", "info"},
                                                                         {"warning", "warning"},
                                                                         {"error", "error"},
                                                                         {"off", "off"}}};

std::string set_path(std::string& path, const std::string& text) {
  if (text.empty()) return "the path is empty";
  if (text.find('\0') != text.npos) return "a path holds no NUL";
  path = text;
  return "";
}

std::string set_ring_size(DaemonOptions& options, const std::string& text) {
  uint32_t bytes = 0;
  const auto page = static_cast<uint32_t>(getpagesize());
  const std::string wrong = set_number(bytes, text, page);
  if (!wrong.empty() || !std::has_single_bit(bytes))
    return "'" + text + "' is not a power of two of " + std::to_string(page) + " or more";
  options.ring_size = bytes;
  return "";
}

std::string set_kernel_threads(DaemonOptions& options, const std::string& text) {
  options.kernel_threads = text == "true";
  return "";
}

constexpr std::array<Setting, 15> kSettings{{
    {"socket", SettingType::path, "PATH", "the Unix socket to serve on", false,
     [](DaemonOptions& options, const std::string& text) { return set_path(options.socket_path, text); },
     [](const DaemonOptions& options) { return options.socket_path; }},
    {"threshold", SettingType::length, "D", "a thread blocked for so long is overdue", true,
     [](DaemonOptions& options, const std::string& text) { return set_length(options.threshold_ns, text); },
     [](const DaemonOptions& options) { return exact_length(options.threshold_ns); }},
    {"interval", SettingType::length, "D", "time between two censuses", false,
     [](DaemonOptions& options, const std::string& text) {
       return set_length(options.interval_ns, text, kMinIntervalNs);
     },
     [](const DaemonOptions& options) { return exact_length(options.interval_ns); }},
    {"kernel_threads", SettingType::flag, "", "watch kernel threads as well", false, set_kernel_threads,
     [](const DaemonOptions& options) { return std::string(options.kernel_threads ? "true" : "false"); }},
    {"tracepoints", SettingType::word, "HOW", "how events are hooked: auto, btf or raw", false,
     [](DaemonOptions& options, const std::string& text) {
       return set_word(Words<Tracepoints>(kTracepoints), options.tracepoints, text);
     },
     [](const DaemonOptions& options) {
       return std::string(
           std::ranges::find(kTracepoints, options.tracepoints, &decltype(kTracepoints)::value_type::second)
               ->first);
     }},
    {"uprobes", SettingType::word, "WHERE",
     "where calls of thread libraries are probed: in processes that somebody attaches to (attached), all, "
     "none; a hit costs its thread microseconds (loiter doctor); before Linux 6.10 tracefs must be mounted "
     "and kernel.perf_event_paranoid no more than 2",
     false,
     [](DaemonOptions& options, const std::string& text) {
       return set_word(Words<UprobeMode>(kUprobes), options.uprobes, text);
     },
     [](const DaemonOptions& options) { return std::string(to_string(options.uprobes)); }},
    {"ring_size", SettingType::number, "N", "bytes of the event ring buffer: a power of two, a page or more",
     false, set_ring_size, [](const DaemonOptions& options) { return std::to_string(options.ring_size); }},
    {"max_threads", SettingType::number, "N", "live threads kept; more are counted", false,
     [](DaemonOptions& options, const std::string& text) { return set_number(options.max_threads, text, 1); },
     [](const DaemonOptions& options) { return std::to_string(options.max_threads); }},
    {"max_ended", SettingType::number, "N", "ended threads kept", false,
     [](DaemonOptions& options, const std::string& text) { return set_number(options.max_ended, text, 0); },
     [](const DaemonOptions& options) { return std::to_string(options.max_ended); }},
    {"keep_ended", SettingType::length, "D", "how long ended threads are kept", false,
     [](DaemonOptions& options, const std::string& text) { return set_length(options.keep_ended_ns, text); },
     [](const DaemonOptions& options) { return exact_length(options.keep_ended_ns); }},
    {"state_dir", SettingType::path, "DIR", "where the history is kept", false,
     [](DaemonOptions& options, const std::string& text) { return set_path(options.state_dir, text); },
     [](const DaemonOptions& options) { return options.state_dir; }},
    {"history_keep", SettingType::length, "D", "how long findings and numbers of threads are kept; 0s: not",
     false,
     [](DaemonOptions& options, const std::string& text) {
       return set_length(options.history_keep_ns, text);
     },
     [](const DaemonOptions& options) { return exact_length(options.history_keep_ns); }},
    {"history_size", SettingType::number, "N", "bytes of the history at most, its write-ahead log included",
     false,
     [](DaemonOptions& options, const std::string& text) {
       return set_number(options.history_bytes, text, kMinHistoryBytes, kMostHistoryBytes);
     },
     [](const DaemonOptions& options) { return std::to_string(options.history_bytes); }},
    {"history_interval", SettingType::length, "D", "how often the threads of each process are counted for it",
     false,
     [](DaemonOptions& options, const std::string& text) {
       return set_length(options.history_interval_ns, text, kMinHistoryIntervalNs);
     },
     [](const DaemonOptions& options) { return exact_length(options.history_interval_ns); }},
    {"log_level", SettingType::word, "LEVEL", "trace, debug, info, warning, error or off", true,
     [](DaemonOptions& options, const std::string& text) {
       return set_word(Words<const char*>(kLogLevels), options.log_level, text);
     },
     [](const DaemonOptions& options) { return options.log_level; }},
}};

template <uint64_t Thresholds::*member, uint64_t least_ns = 0>
constexpr ThresholdSetting length(const char* name) {
  return {name, SettingType::length,
          [](Thresholds& thresholds, const std::string& text) {
            return set_length(thresholds.*member, text, least_ns);
          },
          [](const Thresholds& thresholds) { return exact_length(thresholds.*member); }};
}

template <uint32_t Thresholds::*member, uint32_t least, uint32_t most>
constexpr ThresholdSetting number(const char* name) {
  return {name, SettingType::number,
          [](Thresholds& thresholds, const std::string& text) {
            return set_number(thresholds.*member, text, least, most);
          },
          [](const Thresholds& thresholds) { return std::to_string(thresholds.*member); }};
}

constexpr std::array<ThresholdSetting, 9> kThresholds{{
    length<&Thresholds::stuck_ns>("stuck"),
    length<&Thresholds::starved_ns>("starved"),
    length<&Thresholds::spin_ns>("spin"),
    length<&Thresholds::unjoined_ns>("unjoined"),
    number<&Thresholds::unjoined_least, 1, 1'000'000>("unjoined_least"),
    length<&Thresholds::leak_window_ns, kMinIntervalNs>("leak_window"),
    number<&Thresholds::leak_windows, 2, 64>("leak_windows"),
    number<&Thresholds::leak_least, 1, 1'000'000>("leak_least"),
    length<&Thresholds::exhaustion_ns>("exhaustion"),
}};

template <typename List>
auto find_in(const List& list, std::string_view name) -> const typename List::value_type* {
  const auto* found =
      std::ranges::find(list, name, [](const auto& one) { return std::string_view(one.name); });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

std::string Setting::flag() const {
  std::string text = std::string("--") + name;
  std::ranges::replace(text, '_', '-');
  return text;
}

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view name) {
  return find_in(kSettings, name);
}

std::span<const ThresholdSetting> threshold_settings() {
  return kThresholds;
}

const ThresholdSetting* find_threshold_setting(std::string_view name) {
  return find_in(kThresholds, name);
}

uint64_t length_in(const std::string& text, std::string& complaint) {
  const std::optional<uint64_t> ns = parse_duration(text);
  if (!ns) complaint = duration_error(text);
  return ns.value_or(0);
}

}  // namespace loiter

// What the daemon is told: by its command line, and by the configuration file (daemon/config.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "daemon/sensors/event_reader.h"
#include "daemon/sensors/pthread_probes.h"

namespace loiter {

struct DaemonOptions {
  std::string socket_path = "/run/loiter/loiterd.sock";
  int private_fd = -1;  // a control socket inherited from the command line: no socket file then
  uint64_t threshold_ns = 30'000'000'000;
  uint64_t interval_ns = 1'000'000'000;
  uint32_t ring_size = 2 * 1024 * 1024;
  EventReader::Tracepoints tracepoints = EventReader::Tracepoints::automatic;
  bool kernel_threads = false;
  size_t max_threads = 262'144;
  size_t max_ended = 16'384;
  uint64_t keep_ended_ns = 300'000'000'000;
  UprobeMode uprobes = UprobeMode::attached;
  UprobeWay uprobe_way = UprobeWay::automatic;
  std::string log_level = "info";

  // The history (daemon/history): where, how often threads are counted, for how long and how much is kept.
  std::string state_dir = "/var/lib/loiter";
  uint64_t history_interval_ns = 60'000'000'000;
  uint64_t history_keep_ns = 7 * 86'400'000'000'000;  // 0: there is none
  uint64_t history_bytes = 64 << 20;

  std::string config_path = {};  // empty: the usual file, which may be missing
  bool check_config = false;
  std::map<std::string, std::string> given = {};  // settings that flags gave, by name: these win over a file
};

// Reads the arguments. Where there is nothing to run (--help, --version, or an error, told on stderr in one
// line), nullopt with the exit code.
std::optional<DaemonOptions> parse_daemon_options(int argc, char** argv, int& exit_code);

}  // namespace loiter

// Records what a daemon sees of processes into the form of tests/data/README.md, without names, paths,
// addresses or stacks.
//
// Used by the thread that made it.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "daemon/sensors/limits.h"
#include "tests/lib/daemon.h"

namespace loiter::test {

class Recorder {
 public:
  explicit Recorder(const Daemon& daemon) : daemon_(daemon) {}

  // These processes as of one census, a later one than the last. Those that have ended are left out.
  void record(const std::set<uint32_t>& pids);

  size_t count() const { return snapshots_.size(); }
  void write(const std::string& path, uint64_t threshold_ns, const nlohmann::json& expected) const;

 private:
  // False: a census came in between.
  bool try_record(const std::set<uint32_t>& pids);
  nlohmann::json process_row(const nlohmann::json& document);
  nlohmann::json thread_row(const nlohmann::json& thread);
  nlohmann::json wait_row(const nlohmann::json& wait);
  // As of the same census; nullopt: a later one answered.
  std::optional<nlohmann::json> unjoined_row(uint32_t pid, uint64_t as_of_ns) const;
  // What the kernel says of them at this moment: the API does not tell it.
  nlohmann::json limits_row(const nlohmann::json& process);
  nlohmann::json host_row() const;
  std::string alias(char prefix, const nlohmann::json& text);
  std::string alias_of_path(const nlohmann::json& path);  // of each of its names

  const Daemon& daemon_;
  LimitReader limits_;
  std::map<std::string, std::string> aliases_;
  nlohmann::json snapshots_ = nlohmann::json::array();
  uint64_t as_of_ns_ = 0;
};

}  // namespace loiter::test

// What the API answers from: the newest snapshot, and the daemon's account of itself at that moment.
//
// Made by the collector thread after each census; immutable from then on, read by the API's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/detect/verdicts.h"
#include "daemon/model/pthread_book.h"
#include "daemon/model/snapshot.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/features.h"
#include "daemon/sensors/pthread_probes.h"

namespace loiter {

// What stays the same while the daemon runs, but for what a configuration that is loaded again changes.
struct DaemonFacts {
  struct Capability {
    std::string name;
    bool held = false;
    std::string reason;
  };
  struct ConfigFile {
    std::string path;             // where it is looked for
    uint64_t loaded_boot_ns = 0;  // what holds was read then; 0: there was no such file
    size_t rules = 0;
    std::string failed;  // why the file as it is now was not taken; empty: it was
  };
  bool is_private = false;
  bool kernel_threads = false;
  uint64_t threshold_ns = 0;
  uint64_t census_interval_ns = 0;
  uint64_t started_boot_ns = 0;
  std::string host_name;
  std::string kernel;
  std::string architecture;
  uint32_t cpus = 0;
  ConfigFile config;
  std::vector<Feature> features;
  std::vector<Capability> capabilities;
  std::vector<BpfMapSize> maps;
};

struct CensusCost {
  uint64_t passes = 0;
  uint64_t failed = 0;
  uint64_t still = 0;       // threads of the last pass in short: they had not run since the one before
  uint64_t read_ns = 0;     // wall time of the last pass alone
  uint64_t publish_ns = 0;  // from its start to the published snapshot
  uint64_t cpu_ns = 0;      // CPU time of the same
};

struct Picture {
  std::shared_ptr<const DaemonFacts> facts;
  SnapshotPtr snapshot;
  CensusCost cost;
  std::vector<LossCount> losses;
  PthreadBook::Views pthreads;  // of processes whose calls of their thread library are seen
  UprobeStatus uprobes;

  // Null: they are not seen.
  const PthreadsView* pthreads_of(const ProcessView& process) const {
    auto found = pthreads.find(process.key.tid);
    return found == pthreads.end() ? nullptr : found->second.get();
  }
  uint64_t losses_total() const {
    uint64_t total = 0;
    for (const LossCount& loss : losses) total += loss.count;
    return total;
  }
};

// Hands the newest of something from the thread that makes it to whoever answers.
template <typename T>
class NewestOf {
 public:
  void publish(std::shared_ptr<const T> made) {
    std::lock_guard lock(mutex_);
    latest_ = std::move(made);
  }
  // Null before the first one.
  std::shared_ptr<const T> latest() const {
    std::lock_guard lock(mutex_);
    return latest_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> latest_;
};
using Board = NewestOf<Picture>;
using VerdictBoard = NewestOf<Verdicts>;

}  // namespace loiter

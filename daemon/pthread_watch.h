// Keeps uprobes on thread libraries in place: in the processes that somebody asked for as long as he asks, or
// in every library of the host where it is configured so.
//
// attach() and the end of what it gives may come from any thread, on_exec(), on_published(), drain() and
// take_changes() from the collector's. What takes time or may hang (the kernel writes into foreign code)
// happens on a thread of its own, which is not made before somebody asks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/inspect/inspector.h"
#include "daemon/model/snapshot.h"
#include "daemon/probed_libraries.h"
#include "daemon/sensors/pthread_probes.h"
#include "daemon/serve/event_hub.h"

namespace loiter {

class PthreadWatch {
 public:
  struct Parts {
    UprobeMode mode = UprobeMode::attached;
    PthreadProbes::Options probes = {};
    // Looks for the thread libraries of a process; thread-safe. Calls back until it is stopped, which must be
    // before this is.
    std::function<void(const InspectRequest&, Inspector::Done)> find;
    EventHub* hub = nullptr;  // told what was placed for whom
  };
  explicit PthreadWatch(Parts parts);
  ~PthreadWatch();  // as stop()

  // Probes in this process from soon on, until the last of what this gave for it has gone. An error: uprobes
  // are off, or cannot be had here.
  Result<std::shared_ptr<void>> attach(uint32_t pid);

  // Takes all probes away and ends the thread.
  void stop();

  void on_exec(uint32_t pid, uint64_t boot_ns);
  void on_published(const Snapshot& snapshot);
  // False: there are no probes, and nothing to be drained.
  bool drain(std::vector<Event>& events);
  struct Change {
    uint32_t pid = 0;
    bool watched = false;        // else: no longer
    uint64_t start_boot_ns = 0;  // of the process
    uint64_t since_boot_ns = 0;
  };
  std::vector<Change> take_changes();
  std::vector<LossCount> losses() const;

  UprobeMode mode() const { return parts_.mode; }
  UprobeStatus status() const;
  // PthreadProbes::measure(), by the calling thread.
  Result<UprobeCost> measure();

 private:
  struct Job;
  struct Target;
  void push(Job job);
  void run();
  void carry_out(Job& job);
  std::deque<Job>::iterator next_due();
  void await_due(std::unique_lock<std::mutex>& lock);
  void find(uint32_t pid, uint32_t tries);
  void place(const Job& job);
  PlacedProbes place_library(const ThreadLibrary& library, uint32_t pid, ProbeNote& note);
  void place_missing(const Job& job, bool asked, ProbeNote& note);
  void fail(ProbeNote& note, const std::string& path, const std::string& function, const std::string& reason);
  void detach(uint32_t pid);
  void let_go(uint32_t pid);
  void let_go(const FileId& library);
  void forget_ended(const Snapshot& snapshot);
  Result<std::shared_ptr<PthreadProbes>> probes();

  Parts parts_;
  std::mutex opening_;  // guards these two; taken before the other. Opening takes its time, and is tried out.
  Error refused_;
  uint64_t refused_until_mono_ns_ = 0;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::shared_ptr<PthreadProbes> probes_;
  std::map<uint32_t, Target> targets_;  // by pid
  ProbedLibraries host_wide_;
  std::map<uint32_t, uint64_t> seen_;  // host-wide: pid and start of processes that were looked at
  std::vector<Change> changes_;
  std::map<std::string, UprobeStatus::Failure> failures_;
  uint64_t failed_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace loiter

#include "daemon/detect/run_watch.h"

#include <algorithm>

namespace loiter {

void RunWatch::begin(const Snapshot& snapshot) {
  const uint64_t now = snapshot.begin_mono_ns;
  gap_ns_ = pass_ && now > mono_ns_ ? now - mono_ns_ : 0;
  // A census that comes late: whatever kept the daemon from running may have kept all others too.
  counted_ns_ = gap_ns_ > 2 * interval_ns_ ? interval_ns_ : gap_ns_;
  mono_ns_ = now;
  boot_ns_ = snapshot.begin_boot_ns;
  longest_starved_ns_ = longest_busy_ns_ = left_out_ = 0;
  ++pass_;
}

void RunWatch::start(Entry& entry, const ThreadView& thread) const {
  entry.run = {.key = thread.key, .busy_since_boot_ns = boot_ns_, .starved_since_boot_ns = boot_ns_};
}

void RunWatch::see(const ThreadView& thread) {
  auto found = entries_.find(thread.key.tid);
  if (found == entries_.end()) {
    if (entries_.size() >= kMost) {
      ++left_out_;
      return;
    }
    found = entries_.try_emplace(thread.key.tid).first;
  }
  Entry& entry = found->second;
  ThreadRun& run = entry.run;
  const uint64_t switches = thread.voluntary_switches + thread.involuntary_switches;
  const bool runnable = thread.state == TaskState::runnable;
  if (entry.run.key != thread.key || entry.voluntary != thread.voluntary_switches) {
    start(entry, thread);
  } else {
    run.busy_ns += gap_ns_;
    run.wanted_ns += counted_ns_;
    run.busy_cpu_ns += thread.cpu_ns - std::min(thread.cpu_ns, entry.cpu_ns);
    const bool ran = entry.switches != switches || entry.cpu_ns != thread.cpu_ns;
    if (runnable && entry.runnable && !ran) {
      run.starved_ns += counted_ns_;
    } else {
      run.starved_ns = 0;
      run.starved_since_boot_ns = boot_ns_;
    }
  }
  entry.switches = switches;
  entry.voluntary = thread.voluntary_switches;
  entry.cpu_ns = thread.cpu_ns;
  entry.runnable = runnable;
  entry.pass = pass_;
  longest_starved_ns_ = std::max(longest_starved_ns_, run.starved_ns);
  longest_busy_ns_ = std::max(longest_busy_ns_, run.busy_ns);
}

void RunWatch::finish() {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.pass != pass_; });
}

const ThreadRun* RunWatch::find(const TaskKey& thread) const {
  auto found = entries_.find(thread.tid);
  return found != entries_.end() && found->second.run.key == thread ? &found->second.run : nullptr;
}

}  // namespace loiter

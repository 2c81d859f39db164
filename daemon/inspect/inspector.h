// Answers what is asked about the inside of processes: waits, holders, chains, stacks. One at a time, on a
// thread of its own, since foreign memory and files may take their time.
//
// submit() may come from any thread; `done` is called on the inspector's thread. Nothing of a target is
// touched unless somebody asks about it, and none is ever stopped.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/inspect/chain.h"
#include "daemon/inspect/host_lookup.h"
#include "daemon/inspect/inspection.h"
#include "daemon/inspect/probe_finder.h"

namespace loiter {

struct InspectRequest {
  enum class Kind : uint8_t { waits, stacks, chains, pthreads, thread_libraries };
  Kind kind = Kind::waits;
  uint32_t pid = 0;
  uint64_t start_boot_ns = 0;        // of the process meant; another one by that pid is "gone"
  uint64_t asked_mono_ns = 0;        // what has been seen since may serve as an answer
  std::optional<uint32_t> tid = {};  // stacks, chains: this thread alone
  bool kernel_stacks = false;
  bool with_lines = true;
};

struct InspectAnswer {
  InspectionPtr inspection;                       // never null
  std::vector<Chain> chains;                      // where they were asked for
  std::map<uint32_t, InspectionPtr> inspections;  // of all processes that chains lead through
  ThreadLibraries thread_libraries;               // where they were asked for
};
using InspectAnswerPtr = std::shared_ptr<const InspectAnswer>;

class Inspector {
 public:
  using Done = std::function<void(InspectAnswerPtr)>;

  explicit Inspector(std::shared_ptr<const HostLookup> host);
  ~Inspector();  // as stop()

  void submit(const InspectRequest& request, Done done);

  // Ends the thread; what was not answered never will be.
  void stop();

 private:
  struct Item {
    InspectRequest request;
    Done done;
  };
  void run();

  std::shared_ptr<const HostLookup> host_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::atomic<bool> stopping_ = false;  // written under the mutex
  std::thread thread_;
};

}  // namespace loiter

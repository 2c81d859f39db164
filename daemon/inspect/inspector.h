// Answers what is asked about the inside of processes: waits, holders, chains, stacks. One at a time, on a
// thread of its own, since foreign memory and files may take their time. When nobody asks, it finds out where
// threads were made (OriginFinder): a little at a time, and never for more than a share of the time.
//
// submit(), add_births() and take_origins() may come from any thread; `done` is called on the inspector's
// thread. Nothing of a target is touched unless somebody asks about it or it makes a thread, and none is ever
// stopped.
#pragma once

#include <atomic>
#include <chrono>
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
#include "daemon/inspect/origin_finder.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/inspect/probe_finder.h"
#include "daemon/sensors/slices.h"

namespace loiter {

struct InspectRequest {
  enum class Kind : uint8_t { waits, stacks, chains, edges, pthreads, thread_libraries };
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
  std::vector<WaitEdge> edges;                    // likewise
  std::map<uint32_t, InspectionPtr> inspections;  // of all processes that chains or edges lead through
  ThreadLibraries thread_libraries;               // where they were asked for
};
using InspectAnswerPtr = std::shared_ptr<const InspectAnswer>;

class Inspector {
 public:
  using Done = std::function<void(InspectAnswerPtr)>;

  // `slices`: those that births are added with; null: none are.
  Inspector(std::shared_ptr<const HostLookup> host, std::shared_ptr<Slices> slices);
  ~Inspector();  // as stop()

  void submit(const InspectRequest& request, Done done);

  // Births whose slices are to be unwound; their slots are given back. Processes take turns, and none has
  // more waiting than leaves slots for the others: what is too much is given back unread (SiteGap::no_slot).
  void add_births(const std::vector<BirthSlice>& births);
  // What was found since the last call.
  std::vector<FoundOrigin> take_origins();

  // Ends the thread; what was not answered never will be.
  void stop();

 private:
  struct Item {
    InspectRequest request;
    Done done;
  };
  void run();
  void find_some(OriginFinder* finder);

  std::shared_ptr<const HostLookup> host_;
  std::shared_ptr<Slices> slices_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::map<uint32_t, std::deque<BirthSlice>> births_;  // by process; never an empty one
  uint32_t last_served_ = 0;                           // whose births were unwound last
  std::vector<FoundOrigin> origins_;
  std::chrono::steady_clock::time_point rests_until_{};  // from finding origins; the inspector's thread's own
  std::atomic<bool> stopping_ = false;                   // written under the mutex
  std::thread thread_;
};

}  // namespace loiter

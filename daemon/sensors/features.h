// What this kernel offers, and what loiter is degraded to without it. For /v1/status and `loiter doctor`.
//
// Called once at the start, by the thread that opened the sensors.
#pragma once

#include <string>
#include <vector>

namespace loiter {

struct Feature {
  std::string name;
  std::string state;  // ok, degraded, missing
  std::string detail;
};

// What came out when the sensors were opened.
struct Probed {
  bool uses_btf = false;      // the event programs are attached as tp_btf
  bool dates_waits = false;   // the census reads the run queues' clocks
  bool takes_slices = false;  // births bring a slice of their creator's stack
};

std::vector<Feature> probe_features(const Probed& hooks);

// Why loiter cannot work here at all, or empty: no BTF, a pid namespace of its own.
std::string obstacle();

}  // namespace loiter

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

// `uses_btf`: the event programs are attached as tp_btf. `dates_waits`: the census reads the run queues'
// clocks.
std::vector<Feature> probe_features(bool uses_btf, bool dates_waits);

// Why loiter cannot work here at all, or empty: no BTF, a pid namespace of its own.
std::string obstacle();

}  // namespace loiter

// A verdict, as every detector gives it (DESIGN.md sections 4 and 7). A value; knows no JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/model/snapshot.h"

namespace loiter {

enum class Severity : uint8_t { info, warning, critical };
enum class Certainty : uint8_t { possible, likely, proven };
const char* to_string(Severity severity);
const char* to_string(Certainty certainty);

struct Finding {
  std::string id;  // the same for the same cause, also after a restart of the daemon
  std::string kind;
  Severity severity = Severity::info;
  Certainty certainty = Certainty::possible;
  const ProcessView* process = nullptr;    // of the snapshot that was judged
  std::vector<const ThreadView*> threads;  // likewise; the first one stands for all
  uint64_t threshold_ns = 0;               // what its evidence was held against
  std::string summary;                     // one line; foreign names in it are bytes
  std::string hint;
};

}  // namespace loiter

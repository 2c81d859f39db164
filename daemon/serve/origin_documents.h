// Where threads were made, as documents and parts of them (API.md). Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "daemon/inspect/inspection.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

// GET /v1/processes/PID/origins
// `inspection`: of its threads, tells where those that live began; may be null.
std::string origins_document(const Picture& picture, const ProcessView& process,
                             const Inspection* inspection = nullptr);

// The creators of the threads of one process as JSON text; each stack is written once, since most threads of
// a process come from a few sites. Lives as long as the process it is made of.
class SiteTexts {
 public:
  explicit SiteTexts(const ProcessView& process) : process_(process) {}

  // null for the leader
  std::string created_by(const ThreadView& thread);
  std::string created_by(const EndedThread& thread);

 private:
  std::string created_by(uint32_t creator_tid, uint32_t site, SiteGap gap);
  const ProcessView& process_;
  std::unordered_map<uint32_t, std::string> texts_;  // by site
};

}  // namespace loiter

// The documents of the API (API.md), made from a picture, as text. Pure functions but for status_document,
// which reads this process's own memory figure. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/inspect/inspection.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

constexpr int kSchema = 1;

// `cost`: of a uprobe's hit; null: not measured.
std::string status_document(const Picture& picture, size_t event_streams,
                            const Result<UprobeCost>* cost = nullptr);
// `marks`: which findings concern whom; null: nothing has been judged.
std::string processes_document(const Picture& picture, uint64_t threshold_ns,
                               const FindingMarks* marks = nullptr);
// What of its threads is told: where each was made; those that have ended.
struct ThreadParts {
  bool origins = false;
  bool ended = true;
};
// `inspection`: what the process's threads wait for; null: not looked at.
std::string process_document(const Picture& picture, const ProcessView& process, uint64_t threshold_ns,
                             const Inspection* inspection = nullptr, ThreadParts parts = {},
                             const FindingMarks* marks = nullptr);
std::string error_document(std::string_view code, std::string_view message);

}  // namespace loiter

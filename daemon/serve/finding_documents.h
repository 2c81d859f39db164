// Findings as the API tells them (API.md). Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/detect/verdicts.h"
#include "daemon/history/types.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

// `snapshot` gives names to processes at the other end of pipes, and tells wall times.
Json finding_json(const Snapshot& snapshot, const KeptFinding& kept);

struct FindingWish {
  std::optional<uint32_t> pid;    // only those of this process
  std::optional<std::string> id;  // only this one
  bool resolved = false;          // those that are gone too
};
// `history`: what it has of the wish; null: nobody asked it.
std::string findings_document(const Verdicts& verdicts, const FindingWish& wish,
                              const HistoryAnswer* history = nullptr);

// `verdicts`: null: nobody judges.
std::string scan_document(const Picture& picture, const Verdicts* verdicts, uint64_t threshold_ns,
                          std::optional<uint32_t> pid, bool strict);

}  // namespace loiter

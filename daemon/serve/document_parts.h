// Parts that more than one document is made of. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/detect/finding.h"
#include "daemon/inspect/inspection.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

Json text_or_null(std::string_view bytes);

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json syscall_or_null(const ThreadView& thread);
Json exactness_or_null(const ThreadView& thread);

// The fields that head every document about the host.
DocumentWriter begin_document(const Snapshot& snapshot);

// The part of a thread that says how long it has been blocked, the same wherever it is told.
void add_blocked(Json& to, const ThreadView& thread);

// Who a process is: the same in every document.
Json process_identity(const Snapshot& snapshot, const FindingProcess& process);
Json process_identity(const Snapshot& snapshot, const ProcessView& process);

// Frames of a stack that is kept, innermost first.
Json frames_json(const std::vector<SiteFrame>& frames);

// How well the time is known at which a finding was resolved; null: it lasts. `unwatched`: as of KeptFinding.
Json resolved_exactness(bool resolved, bool unwatched);

// A start routine (API.md). Of `inspection`: null where it is not known.
Json routine_json(const SiteFrame& frame, const std::string& callable);
Json routine_json(const Inspection& inspection, const std::optional<uint32_t>& index);

Json syscall_or_null(int64_t number, bool compat);

// A wait (API.md) of which it is known in which call, and who it is on by name.
Json wait_json(const Snapshot& snapshot, const Wait& wait, const Json& syscall, const Json& holder_name);

// What a thread of `inspection` waits for (API.md); null where it does not, or was not looked at. `snapshot`
// gives names to holders and peers in other processes; `blocked_ns` makes of a timeout what is left of it.
Json wait_json(const Snapshot& snapshot, const Inspection& inspection, const InspectedThread* thread,
               std::optional<uint64_t> blocked_ns);

}  // namespace loiter

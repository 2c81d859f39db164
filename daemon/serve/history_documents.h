// The history as the API tells it (API.md). Pure functions, any thread.
#pragma once

#include <string>

#include "daemon/history/types.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

std::string history_document(const Snapshot& snapshot, const HistoryAnswer& answer);

// The part of the status.
Json history_json(const HistoryStatus& status);

}  // namespace loiter

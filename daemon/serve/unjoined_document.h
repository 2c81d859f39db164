// The document of what ended in a process and was never taken note of: threads that nobody joined, child
// processes that nobody waited for (API.md). Pure function, any thread.
#pragma once

#include <string>

#include "daemon/inspect/inspection.h"
#include "daemon/serve/picture.h"

namespace loiter {

std::string unjoined_document(const Picture& picture, const ProcessView& process,
                              const Inspection& inspection);

}  // namespace loiter

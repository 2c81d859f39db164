// The documents of what was found inside processes: stacks and wait chains (API.md). Pure functions, any
// thread.
#pragma once

#include <string>

#include "daemon/inspect/inspector.h"
#include "daemon/serve/picture.h"

namespace loiter {

// `tid`: of this thread alone.
std::string stacks_document(const Picture& picture, const ProcessView& process, const Inspection& inspection,
                            std::optional<uint32_t> tid, bool kernel_stacks);

std::string chains_document(const Picture& picture, const ProcessView& process, const InspectAnswer& answer);

}  // namespace loiter

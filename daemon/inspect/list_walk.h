// Copies a linked list of another process, node by node: what the opener child does for
// Opener::follow_list().
//
// One thread, stateless. The list may change meanwhile, and its owner may lie: every hop is bounded, and so
// is the time.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "daemon/inspect/opener.h"

namespace loiter {

// `memory`: where `list.place` counts from. `error`: an errno where the process cannot be read at all.
FollowedList walk_list(pid_t pid, const ListToFollow& list, std::span<std::byte> memory, int32_t& error);

}  // namespace loiter

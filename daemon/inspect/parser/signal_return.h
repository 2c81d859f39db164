// Where a signal handler returns to: a few instructions that every libc has, and a frame whose layout the
// kernel makes, so that the interrupted registers can be had without rules.
//
// Pure, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/unwind_rules.h"

namespace loiter {

// nullopt: `code` is something else.
std::optional<UnwindRule> signal_return_rule(const Architecture& architecture,
                                             std::span<const std::byte> code);

}  // namespace loiter

// What a futex of Rust's standard library belongs to, from the functions on the stack. None of them names an
// owner: library/std/src/sys/…/futex.rs, of Rust 1.63 and 1.95.
//
// Pure, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "daemon/inspect/futex_shape.h"

namespace loiter {

struct RustEvidence {
  FutexShape shape = FutexShape::unknown;
  size_t functions = 1;  // on so many of them it rests
};

// `functions`: innermost first, from one on that may be of Rust's std; nullopt: that one tells nothing.
std::optional<RustEvidence> rust_evidence(std::span<const StackFunction> functions);

}  // namespace loiter

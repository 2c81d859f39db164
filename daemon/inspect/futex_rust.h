// What a futex of Rust's standard library belongs to, from the functions on the stack. None of them names an
// owner: library/std/src/sys/…/futex.rs, of Rust 1.63 and 1.95.
//
// Pure, any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "daemon/inspect/futex_object.h"

namespace loiter {

// `functions`: innermost first, from one on that may be of Rust's std; nullopt: that one is not.
std::optional<FutexShape> rust_shape(std::span<const std::string_view> functions);

}  // namespace loiter

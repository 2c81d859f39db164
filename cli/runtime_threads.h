// Threads that a language runtime makes for itself, and that live to the end of every program by design: a
// JVM's, Go's, Node's, OpenMP's, tokio's. They are known by their start routine and its module, or by where
// they wait or were made, never by their name or the program's (DESIGN.md section 4).
//
// Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/thread_traits.h"

namespace loiter::cli {

// Whose own thread it is: "jvm", "go", …; nothing: the program's.
std::optional<std::string_view> runtime_of(const ThreadTraits& traits);

// All that runtime_of may say, in the order of the alphabet.
std::vector<std::string_view> runtime_names();

}  // namespace loiter::cli

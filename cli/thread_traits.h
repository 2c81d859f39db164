// What a thread is known by: its name, where it began, the stack of its creation and the one that it waits
// on. What --ignore and the table of runtimes are held against.
//
// Values and pure functions, any thread. They throw a std::exception where a document is not what API.md
// says.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/routine.h"
#include "cli/stack_model.h"

namespace loiter::cli {

struct ThreadTraits {
  std::string name;
  std::optional<StartRoutine> routine;
  std::vector<StackFrame> created_at;  // innermost first; empty where it is not known
  std::vector<StackFrame> waits_in;    // the same
};

// From a thread of any document: "name", "start_routine", "created_by", "stack"; what is missing stays empty.
ThreadTraits traits_of(const nlohmann::json& thread);

// Where the program's own frames of a creator's stack begin: behind what the thread library and C++ do.
size_t first_creating_frame(const std::vector<StackFrame>& frames);

// Shell wildcards over all of `text`; a slash is a character like any other.
bool glob_matches(const std::string& pattern, const std::string& text);
bool any_frame_matches(const std::string& pattern, const std::vector<StackFrame>& frames);

// Whether its name, its start routine (symbol, callable, or the base name of its module) or the symbol of a
// frame matches one of them.
bool is_ignored(const ThreadTraits& traits, const std::vector<std::string>& patterns);

}  // namespace loiter::cli

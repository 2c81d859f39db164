// Stacks as text: `loiter stacks`, and single frames for whoever shows one.
//
// Pure functions, any thread. All results are fit for a terminal (escape_for_terminal).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/stack_model.h"

namespace loiter::cli {

// "symbol at file:line", "symbol in module", "module+0x1f", "??"; "(inlined)" after it where it was.
std::string frame_text(const StackFrame& frame);

// The frames of one thread, "#0 …" each, then what the kernel does for it and why the stack ends early.
std::vector<std::string> frame_lines(const StackThread& thread);

// "sleeping ~3m12s, mutex 0x55d0a0c0 held by 4711 db-writer"; "running".
std::string doing_text(const StackThread& thread);

// All of the document: threads with the same stack once, the most common stack first. Lists of threads stay
// within `columns`.
std::vector<std::string> stacks_lines(const Stacks& stacks, size_t columns);

// A frame of the libraries that every program waits and starts threads in.
bool is_of_libraries(const StackFrame& frame);

// Where its own code begins: the frames of libc and its like that every wait ends in are left out, unless
// there are no others.
size_t first_own_frame(const std::vector<StackFrame>& frames);

// Where that ends again: what starts a thread or the program.
size_t end_of_own_frames(const std::vector<StackFrame>& frames);

// Without its directories.
std::string_view base_name(std::string_view path);

}  // namespace loiter::cli

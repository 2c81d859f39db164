#include "cli/thread_traits.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>

#include "cli/json_read.h"
#include "cli/stack_text.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::vector<StackFrame> frames_of(const json& object) {
  std::vector<StackFrame> frames;
  if (const json* stack = member(object, "stack"))
    for (const json& frame : *stack) frames.push_back(parse_frame(frame));
  return frames;
}

bool routine_matches(const std::string& pattern, const StartRoutine& routine) {
  return (routine.symbol && glob_matches(pattern, *routine.symbol)) ||
         (routine.callable && glob_matches(pattern, *routine.callable)) ||
         (routine.module && glob_matches(pattern, std::string(base_name(*routine.module))));
}

}  // namespace

ThreadTraits traits_of(const json& thread) {
  ThreadTraits traits;
  read(thread, "name", traits.name);
  traits.routine = parse_routine(thread);
  if (const json* creator = member(thread, "created_by")) traits.created_at = frames_of(*creator);
  traits.waits_in = frames_of(thread);
  return traits;
}

size_t first_creating_frame(const std::vector<StackFrame>& frames) {
  constexpr auto kMakers = std::to_array<const char*>(
      {"*pthread_create*", "std::thread::_M_start_thread*", "std::thread::thread<*", "thrd_create"});
  size_t first = first_own_frame(frames);
  for (size_t i = 0; i < frames.size(); ++i)
    if (frames[i].symbol && std::ranges::any_of(kMakers, [&](const char* maker) {
          return glob_matches(maker, *frames[i].symbol);
        }))
      first = std::max(first, i + 1);
  return first < frames.size() ? first : 0;
}

bool glob_matches(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool any_frame_matches(const std::string& pattern, const std::vector<StackFrame>& frames) {
  return std::ranges::any_of(
      frames, [&](const StackFrame& frame) { return frame.symbol && glob_matches(pattern, *frame.symbol); });
}

bool is_ignored(const ThreadTraits& traits, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return glob_matches(pattern, traits.name) ||
           (traits.routine && routine_matches(pattern, *traits.routine)) ||
           any_frame_matches(pattern, traits.created_at) || any_frame_matches(pattern, traits.waits_in);
  });
}

}  // namespace loiter::cli

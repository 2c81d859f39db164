#include "cli/stack_model.h"

#include "cli/json_read.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

StackThread parse_stack_thread(const json& object) {
  StackThread thread;
  read(object, "tid", thread.tid);
  read(object, "name", thread.name);
  read(object, "state", thread.state);
  thread.age = parse_age(object);
  thread.wait = parse_wait(object);
  thread.routine = parse_routine(object);
  if (const json* stack = member(object, "stack"))
    for (const json& frame : *stack) thread.frames.push_back(parse_frame(frame));
  read(object, "cut", thread.cut);
  read(object, "kernel_stack", thread.kernel_frames);
  return thread;
}

}  // namespace

StackFrame parse_frame(const json& object) {
  StackFrame frame;
  read(object, "symbol", frame.symbol);
  read(object, "module", frame.module);
  read(object, "offset", frame.offset);
  read(object, "file", frame.file);
  read(object, "line", frame.line);
  read(object, "inlined", frame.inlined);
  return frame;
}

Result<Stacks> parse_stacks(const json& document) {
  try {
    Stacks stacks;
    read(document, "as_of", stacks.as_of);
    stacks.process = parse_process(document.at("process"));
    for (const json& thread : document.at("threads")) stacks.threads.push_back(parse_stack_thread(thread));
    return stacks;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli

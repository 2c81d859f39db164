#include "cli/routine.h"

#include "cli/json_read.h"
#include "cli/stack_text.h"

namespace loiter::cli {

std::optional<StartRoutine> parse_routine(const nlohmann::json& object) {
  const nlohmann::json* found = member(object, "start_routine");
  if (!found) return std::nullopt;
  return read_routine(*found);
}

StartRoutine read_routine(const nlohmann::json& object) {
  StartRoutine routine;
  read(object, "symbol", routine.symbol);
  read(object, "module", routine.module);
  read(object, "callable", routine.callable);
  read(object, "offset", routine.offset);
  return routine;
}

std::string routine_text(const StartRoutine& routine) {
  StackFrame frame;
  frame.symbol = routine.callable ? routine.callable : routine.symbol;
  frame.offset = routine.offset;
  if (!frame.symbol) frame.module = routine.module;
  return frame_text(frame);
}

}  // namespace loiter::cli

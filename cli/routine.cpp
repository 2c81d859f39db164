#include "cli/routine.h"

#include "cli/json_read.h"
#include "cli/stack_text.h"

namespace loiter::cli {

std::optional<StartRoutine> parse_routine(const nlohmann::json& object) {
  const nlohmann::json* found = member(object, "start_routine");
  if (!found) return std::nullopt;
  StartRoutine routine;
  read(*found, "symbol", routine.symbol);
  read(*found, "module", routine.module);
  read(*found, "callable", routine.callable);
  read(*found, "offset", routine.offset);
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

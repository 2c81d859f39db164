#include "daemon/inspect/stack_types.h"

namespace loiter {

const char* to_string(Cut cut) {
  switch (cut) {
    case Cut::none:
      return "complete";
    case Cut::needs_memory:
      return "more of the stack is needed";
    case Cut::no_memory:
      return "a frame lies outside the stack";
    case Cut::no_module:
      return "code in no known file";
    case Cut::no_rules:
      return "code without unwinding rules";
    case Cut::bad_rules:
      return "broken unwinding rules or stack";
    case Cut::too_deep:
      return "too many frames";
  }
  return "unknown";
}

}  // namespace loiter

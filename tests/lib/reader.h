// What an inspector reads other processes with: memory, opener and parser of its own, and the files of code
// that the parser knows.
//
// Used by the thread that made it; its helpers end with it.
#pragma once

#include <atomic>
#include <stdexcept>
#include <utility>

#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"

namespace loiter::test {

// The value, or what went wrong as an exception.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

struct Reader {
  std::atomic<bool> cancel = false;
  SharedMemory memory = must(SharedMemory::make());
  Opener opener{memory, cancel};
  Parser parser{memory, cancel};
  Modules modules{opener, parser};
};

}  // namespace loiter::test

// libvanishing.so: a library that is loaded from a file which is gone when somebody looks at the stack.
#include <unistd.h>

namespace vanishing {

[[gnu::noinline]] int wait_in_the_library(int depth) {
  const int below = depth > 0 ? wait_in_the_library(depth - 1) : pause();
  asm volatile("");  // a call above it, not a loop
  return below + 1;
}

}  // namespace vanishing

extern "C" [[gnu::noinline]] int enter_vanishing(int depth) {
  const int result = vanishing::wait_in_the_library(depth);
  asm volatile("");
  return result + depth;
}

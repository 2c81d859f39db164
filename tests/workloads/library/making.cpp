// libmaking.so: a library that makes threads and is unloaded while they live.
#include <pthread.h>

namespace making {

[[gnu::noinline]] int make_in_the_library(void* (*body)(void*), void* argument) {
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, body, argument);
  asm volatile("");  // a call above it, not a jump
  return error;
}

}  // namespace making

extern "C" [[gnu::noinline]] int enter_making(void* (*body)(void*), void* argument) {
  const int error = making::make_in_the_library(body, argument);
  asm volatile("");
  return error;
}

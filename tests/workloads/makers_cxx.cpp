// makers_cxx: makes threads by the C++ library and by a library of its own, on command; each is told as by
// makers.c.
// Commands: "std": a std::thread; "load": loads libmaking.so, which makes one; "unload": the library goes.
#include <dlfcn.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

std::atomic<pid_t> tid_of_made{0};

void tell_and_block() {
  tid_of_made = thread_id();
  block_forever();
}

void await_and_tell(const char* name, const char* frames) {
  while (tid_of_made == 0) usleep(100);
  fact(R"({"fact": "made", "case": "%s", "tid": %d, "creator": %d, "frames": "%s"})", name,
       tid_of_made.load(), thread_id(), frames);
  tid_of_made = 0;
}

void* library = nullptr;

}  // namespace

namespace makers {

[[gnu::noinline]] void make_standard() {
  std::thread(tell_and_block).detach();
  asm volatile("");
}

class Pool {
 public:
  [[gnu::noinline]] void grow(int count) {
    if (count > 0) grow(count - 1);
    asm volatile("");
    if (count == 0) make_standard();
    asm volatile("");
  }
};

[[gnu::noinline]] void load_and_make() {
  char self[1024];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (n < 0) die("readlink");
  std::string path(self, static_cast<size_t>(n));
  path = path.substr(0, path.rfind('/')) + "/libmaking.so";
  library = dlopen(path.c_str(), RTLD_NOW);
  void* function = library ? dlsym(library, "enter_making") : nullptr;
  if (!function) die(dlerror());
  using Body = void* (*)(void*);
  reinterpret_cast<int (*)(Body, void*)>(function)(
      [](void*) -> void* {
        tell_and_block();
        return nullptr;
      },
      nullptr);
  asm volatile("");
}

}  // namespace makers

int main() {
  return serve([](const std::string& line) {
    if (line == "std") {
      makers::Pool().grow(3);
      await_and_tell("std",
                     "makers::make_standard makers::Pool::grow makers::Pool::grow makers::Pool::grow main");
    } else if (line == "load") {
      makers::load_and_make();
      await_and_tell("library", "making::make_in_the_library enter_making makers::load_and_make main");
    } else if (line == "unload") {
      if (dlclose(library)) die("dlclose");
      library = nullptr;
    }
  });
}

// stacks [CASE...]: threads whose stacks are known function by function: inlined ones, templates, signal
// handlers, deep recursion, code that only a perf map names, a library that is gone from disk.
//
// Told of each: the frames of this program, innermost first, of which some are inlined, and for those that
// say it the line that the frame stands in. In "name@line!" the "!" means inlined; in a name only a part is
// told where the whole depends on the compiler.
#include <sys/mman.h>

#include <atomic>
#include <string>
#include <thread>

#ifndef STATIC_BINARY
#include <dlfcn.h>
#endif

#include "tests/workloads/cases.h"

#define INLINED [[gnu::always_inline]] inline

namespace {

void tell_stack(const char* name, pid_t tid, const std::string& frames, const char* note = "") {
  line text = {"", 0};
  add_to(
      &text,
      R"({"fact": "stack", "case": "%s", "pid": %d, "tid": %d, "frames": "%s", "file": "tests/workloads/stacks.cpp", "note": "%s"})",
      name, getpid(), tid, frames.c_str(), note);
  tell_line(&text);
}

pid_t resting(void (*body)(void*)) {
  const pid_t tid = start_thread(body, nullptr)->tid;
  await_resting(getpid(), tid);
  return tid;
}

std::string at(const char* function, int line) {
  return std::string(function) + "@" + std::to_string(line);
}

}  // namespace

// --- inlined functions -----------------------------------------------------------------------------

namespace inlining {

volatile int depth;
constexpr int kLeafLine = __LINE__ + 2;
NOINLINE void leaf() {
  pause();
  depth = depth + 1;
}

constexpr int kInnerLine = __LINE__ + 2;
INLINED void inner() {
  leaf();
  depth = depth + 1;
}

constexpr int kMiddleLine = __LINE__ + 3;
INLINED void middle() {
  depth = depth + 1;
  inner();
  depth = depth + 1;
}

constexpr int kOuterLine = __LINE__ + 2;
NOINLINE void outer(void*) {
  middle();
  came_back("inlining::outer");
}

void make(const char* name) {
  tell_stack(name, resting(outer),
             at("inlining::leaf", kLeafLine) + " " + at("inlining::inner", kInnerLine) + "! " +
                 at("inlining::middle", kMiddleLine) + "! " + at("inlining::outer", kOuterLine) +
                 " thread_of_case");
}

}  // namespace inlining

// --- templates and namespaces ----------------------------------------------------------------------

namespace named {
inline namespace version_two {

template <typename T>
struct Box {
  template <typename U>
  NOINLINE void take(U value) const {
    rest_for_good();
    came_back(value > 0 ? "take" : "");
  }
};

struct Base {
  virtual ~Base() = default;
  virtual void go() = 0;
};

struct Derived : Base {
  NOINLINE void go() override {
    Box<long>().take(2.5);
    came_back("go");
  }
};

NOINLINE void operator<<(Base& base, int) {
  base.go();
  came_back("operator<<");
}

NOINLINE void in_namespaces(void*) {
  static Derived derived;
  derived << 1;
  came_back("in_namespaces");
}

}  // namespace version_two
}  // namespace named

namespace {

void make_named(const char* name) {
  tell_stack(name, resting(named::in_namespaces),
             "rest_for_good named::version_two::Box<long>::take<double> named::version_two::Derived::go "
             "named::version_two::operator<< named::version_two::in_namespaces thread_of_case");
}

}  // namespace

// --- signals ---------------------------------------------------------------------------------------

namespace signals {

NOINLINE void handler(int) {
  rest_for_good();
  came_back("handler");
}

void handle(int number, int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(number, &action, nullptr);
}

NOINLINE void raises(void*) {
  handle(SIGUSR1, 0);
  raise(SIGUSR1);
  came_back("raises");
}

std::atomic<bool> spins;

// A leaf that is interrupted anywhere, also at its very first instruction.
NOINLINE void interrupted() {
  while (true) spins = true;
}

NOINLINE void is_interrupted(void*) {
  handle(SIGUSR2, 0);
  interrupted();
  came_back("is_interrupted");
}

// The handler has a stack of its own, elsewhere.
NOINLINE void on_another_stack(void*) {
  static char stack[65536];
  const stack_t other{stack, 0, sizeof(stack)};
  if (sigaltstack(&other, nullptr)) die("sigaltstack");
  handle(SIGURG, SA_ONSTACK);
  raise(SIGURG);
  came_back("on_another_stack");
}

void make_raised(const char* name) {
  tell_stack(name, resting(raises), "rest_for_good signals::handler signals::raises thread_of_case");
}

void make_interrupted(const char* name) {
  start* thread = start_thread(is_interrupted, nullptr);
  while (!spins) pause_for(100000);
  pthread_kill(thread->thread, SIGUSR2);
  await_resting(getpid(), thread->tid);
  tell_stack(name, thread->tid,
             "rest_for_good signals::handler signals::interrupted signals::is_interrupted thread_of_case");
}

void make_on_another_stack(const char* name) {
  tell_stack(name, resting(on_another_stack),
             "rest_for_good signals::handler signals::on_another_stack thread_of_case");
}

}  // namespace signals

// --- deep ------------------------------------------------------------------------------------------

namespace deep {

constexpr int kFrames = 5000;

NOINLINE int second(int left);

NOINLINE int first(int left) {
  if (left == 0) rest_for_good();
  const int result = second(left - 1);
  asm volatile("");
  return result + 1;
}

NOINLINE int second(int left) {
  if (left == 0) rest_for_good();
  const int result = first(left - 1);
  asm volatile("");
  return result + 1;
}

NOINLINE void recursion(void*) {
  first(kFrames - 1);
  came_back("recursion");
}

void make(const char* name) {
  tell_stack(name, resting(recursion), "rest_for_good deep::second deep::first deep::second deep::first",
             "5000");
}

}  // namespace deep

// --- std::thread -----------------------------------------------------------------------------------

namespace standard {

std::atomic<pid_t> tid;

NOINLINE void rest_with(const std::string& word, int number) {
  tid = thread_id();
  rest_for_good();
  came_back(number ? word.c_str() : "");
}

void make(const char* name) {
  std::thread(rest_with, std::string("word"), 3).detach();
  while (!tid) pause_for(100000);
  await_resting(getpid(), tid);
  tell_stack(name, tid, "rest_for_good standard::rest_with");
}

}  // namespace standard

// --- code that was made at run time ----------------------------------------------------------------

namespace jit {

#if defined(__x86_64__)
// push rbp; mov rbp,rsp; call rdi; pop rbp; ret
constexpr unsigned char kCode[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
#elif defined(__aarch64__)
// stp x29,x30,[sp,-16]!; mov x29,sp; blr x0; ldp x29,x30,[sp],16; ret
constexpr unsigned char kCode[] = {0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91, 0x00, 0x00,
                                   0x3f, 0xd6, 0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6};
#endif

char map_path[64];

NOINLINE void called_back() {
  rest_for_good();
  came_back("called_back");
}

NOINLINE void calls_the_code(void* code) {
  reinterpret_cast<void (*)(void (*)())>(code)(called_back);
  came_back("calls_the_code");
}

// The linker's perf map convention: start, size, name; in the directory of the process's own namespace.
void write_map(const void* code) {
  snprintf(map_path, sizeof(map_path), "/tmp/perf-%d.map", getpid());
  FILE* map = fopen(map_path, "w");
  if (!map) die(map_path);
  fprintf(map, "%lx %zx jit::made_at_run_time\n", reinterpret_cast<unsigned long>(code), sizeof(kCode));
  fclose(map);
}

void make(const char* name) {
  void* code = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) die("mmap");
  memcpy(code, kCode, sizeof(kCode));
  __builtin___clear_cache(static_cast<char*>(code), static_cast<char*>(code) + sizeof(kCode));
  write_map(code);
  const pid_t tid = start_thread(calls_the_code, code)->tid;
  await_resting(getpid(), tid);
  // Beyond it there are no rules: it may end there, and must say so then.
  tell_stack(name, tid, "rest_for_good jit::called_back jit::made_at_run_time", "may be cut");
}

}  // namespace jit

// --- a library that is gone ------------------------------------------------------------------------

#ifndef STATIC_BINARY
namespace vanished {

std::string copy_of_library() {
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (n < 0) die("readlink");
  const std::string program(self, static_cast<size_t>(n));
  const std::string from = program.substr(0, program.rfind('/')) + "/libvanishing.so";
  std::string to = "/tmp/loiter-test-vanishing-" + std::to_string(getpid()) + ".so";
  FILE* in = fopen(from.c_str(), "r");
  FILE* out = fopen(to.c_str(), "w");
  if (!in || !out) die(from.c_str());
  char bytes[65536];
  for (size_t got; (got = fread(bytes, 1, sizeof(bytes), in)) > 0;) fwrite(bytes, 1, got, out);
  fclose(in);
  fclose(out);
  return to;
}

NOINLINE void calls_the_library(void* function) {
  reinterpret_cast<int (*)(int)>(function)(2);
  came_back("calls_the_library");
}

void make(const char* name) {
  const std::string path = copy_of_library();
  void* library = dlopen(path.c_str(), RTLD_NOW);
  unlink(path.c_str());
  void* function = library ? dlsym(library, "enter_vanishing") : nullptr;
  if (!function) die(dlerror());
  const pid_t tid = start_thread(calls_the_library, function)->tid;
  await_resting(getpid(), tid);
  tell_stack(name, tid,
             "vanishing::wait_in_the_library vanishing::wait_in_the_library vanishing::wait_in_the_library "
             "enter_vanishing vanished::calls_the_library thread_of_case");
}

}  // namespace vanished
#endif

namespace {

const case_of cases[] = {
    {"inlined", inlining::make},
    {"names", make_named},
    {"raised signal", signals::make_raised},
    {"interrupting signal", signals::make_interrupted},
    {"signal stack", signals::make_on_another_stack},
    {"recursion", deep::make},
    {"std::thread", standard::make},
    {"made code", jit::make},
#ifndef STATIC_BINARY
    {"vanished library", vanished::make},
#endif
};

}  // namespace

int main(int argc, char** argv) {
  // run_cases(), and the map removed.
  make_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
  tell_word("ready");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0)
    if (byte == '\n') tell_word("done");
  unlink(jit::map_path);
  _exit(0);
}

// start_routines: threads begun in every way that C++ has; told of each: what it runs, or a part of its name
// where the whole depends on the compiler, and the routine that the C library was given.
#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "tests/workloads/cases.h"

namespace {

std::atomic<pid_t> told_tid;

// `callable`: empty where none is to be told. `symbol`: "" where there is none, "-" where it is not known.
void tell_thread(const char* name, const char* symbol, const char* callable) {
  const pid_t tid = told_tid.exchange(0);
  await_resting(getpid(), tid);
  line text = {"", 0};
  add_to(&text, R"({"fact": "thread", "case": "%s", "tid": %d, "symbol": "%s", "callable": "%s"})", name, tid,
         symbol, callable);
  tell_line(&text);
}

pid_t await_tid() {
  while (!told_tid) pause_for(100000);
  return told_tid;
}

void rest_as_told() {
  told_tid = thread_id();
  rest_for_good();
}

}  // namespace

namespace shop {

struct Keeper {
  void operator()() const { rest_as_told(); }
};

template <typename Ware>
struct Seller {
  void operator()(int, Ware) const { rest_as_told(); }
};

NOINLINE void serve_customer() {
  rest_as_told();
}

NOINLINE void serve_customers(int count, double, const std::string& name) {
  if (count == 0 || name.empty()) return;
  rest_as_told();
}

struct Clerk {
  NOINLINE void work() { rest_as_told(); }
  NOINLINE void work_for(long) { rest_as_told(); }
  int wage = 3;
};

NOINLINE int deliver(int value) {
  rest_as_told();
  return value;
}

}  // namespace shop

extern "C" NOINLINE void* plain_routine(void*) {
  rest_as_told();
  return nullptr;
}

namespace {

constexpr const char* kNative = "execute_native_thread_routine";

template <typename... Args>
void begin(const char* name, const char* callable, Args&&... args) {
  std::thread(std::forward<Args>(args)...).detach();
  await_tid();
  tell_thread(name, kNative, callable);
}

int clone_routine(void*) {
  rest_as_told();
  return 0;
}

// Made by a bare clone: it has no descriptor of its own.
void bare_clone() {
  constexpr size_t kStack = 64 * 1024;
  void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) die("mmap");
  constexpr int kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  if (clone(clone_routine, static_cast<char*>(stack) + kStack, kFlags, nullptr) < 0) die("clone");
  await_tid();
  tell_thread("bare clone", "-", "");
}

}  // namespace

int main() {
  begin("functor", "shop::Keeper", shop::Keeper());
  begin("template", "shop::Seller<double>", shop::Seller<double>(), 3, 2.0);
  begin("lambda", "main::{lambda()#1}", [] { rest_as_told(); });
  begin("function", "shop::serve_customer()", shop::serve_customer);
  begin("function with arguments", "shop::serve_customers(int, double", shop::serve_customers, 3, 2.0,
        std::string("a name that is long enough to lie on the heap"));
  static shop::Clerk clerk;
  begin("member", "shop::Clerk::work()", &shop::Clerk::work, &clerk);
  begin("member with argument", "shop::Clerk::work_for(long)", &shop::Clerk::work_for, &clerk, 7L);
  auto future = std::async(std::launch::async, shop::deliver, 5);
  await_tid();
  tell_thread("async", kNative, "_Async_state_impl<");
  pthread_t thread;
  pthread_create(&thread, nullptr, plain_routine, nullptr);
  await_tid();
  tell_thread("pthread", "plain_routine", "");
  bare_clone();
  tell_word("ready");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}

// What every workload shares: it tells what it did in lines of JSON on stdout, ends what it has to say
// with {"fact": "ready"}, and then takes commands from stdin, each answered up to {"fact": "done"}. It
// ends when stdin does.
//
// Any thread may tell a fact: a line is one write.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace loiter::workload {

inline uint64_t boottime_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline pid_t thread_id() {
  return static_cast<pid_t>(syscall(SYS_gettid));
}

[[noreturn]] inline void die(const char* what) {
  perror(what);
  _exit(9);
}

// One line; the format holds the JSON.
__attribute__((format(printf, 1, 2))) inline void fact(const char* format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof(line) - 1, format, args);
  va_end(args);
  if (length < 0 || length >= static_cast<int>(sizeof(line)) - 1) die("fact too long");
  line[length++] = '\n';
  if (write(STDOUT_FILENO, line, static_cast<size_t>(length)) != length) _exit(8);
}

// A child of ours must not outlive us, whatever ends us. `parent`: our pid, taken before the fork.
inline void die_with_parent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
}

// Starts a thread with a small stack, so that thousands fit; never joined.
inline void start_thread(std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  auto run = [](void* arg) -> void* {
    std::function<void()> owned = std::move(*static_cast<std::function<void()>*>(arg));
    delete static_cast<std::function<void()>*>(arg);
    owned();
    return nullptr;
  };
  if (pthread_create(&thread, &attributes, run, new std::function<void()>(std::move(body))))
    die("pthread_create");
  pthread_attr_destroy(&attributes);
}

// Blocks for good, in pause(2).
[[noreturn]] inline void block_forever() {
  while (true) pause();
}

// Keeps a CPU busy for good, with no system call.
[[noreturn]] inline void spin() {
  while (true) asm volatile("");
}

// Ready: from now on each line of stdin goes to `command`, until stdin ends.
inline int serve(const std::function<void(const std::string&)>& command) {
  fact(R"({"fact": "ready"})");
  char line[4096];
  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    command(line);
    fact(R"({"fact": "done"})");
  }
  return 0;
}

}  // namespace loiter::workload

// What the workloads of the waits share, in C so that musl's compiler takes it too: a thread is started for
// each case, blocks as the case says, and a line of JSON on stdout tells what is true of it. The protocol is
// that of facts.h: facts, {"fact": "ready"}, then commands on stdin, each answered up to {"fact": "done"}.
//
// A case is told only after /proc shows the thread asleep in the system call that the case expects, so a test
// never looks too early. One main thread starts the cases; the threads only block.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
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

#ifdef __GLIBC__
#define LIBC "glibc"
#else
#define LIBC "musl"
#endif

#define NOINLINE __attribute__((noinline, noclone))
#define MAYBE_UNUSED __attribute__((unused))
#define AN_HOUR 3600

// What is true of a blocked thread. Where something may be told in two ways, they stand as "a|b". What is
// left out: `holder` 0: it must have none. `timeout_s` 0: the wait is unbounded. Others: not compared.
struct wait {
  const char* kind;             // words of the API
  const char* call;             // the system calls that it may be, "poll|ppoll"; "none": outside; NULL: any
  const volatile void* object;  // the lock, say: the futex lies in its `size` bytes
  size_t size;
  const char* object_text;  // a part of what a descriptor or a process is called
  const char* detail;
  pid_t holder, holder_pid;
  const char* holder_state;
  int timeout_s;
  int fd;              // never 0 here
  const char* scope;   // "private" or "shared"
  const char* frames;  // functions that stand on its stack in this order, the innermost first
  pid_t peer;          // a process at the other end
  const char* state;   // "S" where NULL
  const char* note;    // what a test has to know besides
};

struct case_of {
  const char* name;
  void (*make)(const char* name);
};

MAYBE_UNUSED __attribute__((noreturn)) static void die(const char* what) {
  perror(what);
  _exit(9);
}

// At the end of each function that blocks: it also keeps the call before it from becoming a jump, which would
// take the function off the stack.
MAYBE_UNUSED __attribute__((noreturn)) NOINLINE static void came_back(const char* what) {
  fprintf(stderr, "%s was to block and came back: %s\n", what, strerror(errno));
  _exit(9);
}

MAYBE_UNUSED static pid_t thread_id(void) {
  return (pid_t)syscall(SYS_gettid);
}

MAYBE_UNUSED static void pause_for(long nanoseconds) {
  struct timespec moment = {0, nanoseconds};
  nanosleep(&moment, NULL);
}

// --- facts -----------------------------------------------------------------------------------------

struct line {
  char text[2048];
  size_t length;
};

MAYBE_UNUSED __attribute__((format(printf, 2, 3))) static void add_to(struct line* line, const char* format,
                                                                      ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(line->text + line->length, sizeof(line->text) - line->length, format, args);
  va_end(args);
  if (n < 0 || line->length + (size_t)n >= sizeof(line->text) - 1) die("fact too long");
  line->length += (size_t)n;
}

MAYBE_UNUSED static void add_text(struct line* line, const char* key, const char* value) {
  if (value) add_to(line, ", \"%s\": \"%s\"", key, value);
}

MAYBE_UNUSED static void tell_line(struct line* line) {
  line->text[line->length++] = '\n';
  if (write(STDOUT_FILENO, line->text, line->length) != (ssize_t)line->length) _exit(8);
}

MAYBE_UNUSED static void tell_word(const char* word) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"%s\"}", word);
  tell_line(&line);
}

MAYBE_UNUSED static void tell(const char* name, pid_t pid, pid_t tid, const struct wait* wait) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"thread\", \"case\": \"%s\", \"pid\": %d, \"tid\": %d, \"libc\": \"%s\"", name,
         pid, tid, LIBC);
  add_text(&line, "kind", wait->kind);
  add_text(&line, "syscall", wait->call);
  if (wait->object)
    add_to(&line, ", \"object\": %lu, \"size\": %zu", (unsigned long)wait->object, wait->size);
  add_text(&line, "object_text", wait->object_text);
  add_text(&line, "detail", wait->detail);
  add_to(&line, ", \"holder_tid\": %d, \"holder_pid\": %d", wait->holder,
         wait->holder ? (wait->holder_pid ? wait->holder_pid : pid) : 0);
  add_text(&line, "holder_state", wait->holder_state);
  add_to(&line, ", \"timeout_s\": %d", wait->timeout_s);
  if (wait->fd) add_to(&line, ", \"fd\": %d", wait->fd);
  add_text(&line, "scope", wait->scope);
  add_text(&line, "frames", wait->frames);
  if (wait->peer) add_to(&line, ", \"peer\": %d", wait->peer);
  add_text(&line, "note", wait->note);
  add_to(&line, "}");
  tell_line(&line);
}

MAYBE_UNUSED static void tell_skipped(const char* name, const char* why) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"skipped\", \"case\": \"%s\", \"why\": \"%s: %s\"}", name, why, strerror(errno));
  tell_line(&line);
}

// --- asleep as expected ----------------------------------------------------------------------------

struct call_name {
  const char* name;
  long number;
};

#define CALL(name) \
  { #name, SYS_##name }
static const struct call_name call_names[] = {
#ifdef SYS_poll  // the older ones, which arm64 never had
    CALL(poll),
    CALL(select),
    CALL(epoll_wait),
    CALL(pause),
    CALL(accept),
    CALL(vfork),
#endif
    CALL(futex),
    CALL(ppoll),
    CALL(pselect6),
    CALL(epoll_pwait),
    CALL(accept4),
    CALL(read),
    CALL(write),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(sendto),
    CALL(connect),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(wait4),
    CALL(waitid),
    CALL(rt_sigtimedwait),
    CALL(rt_sigsuspend),
    CALL(flock),
    CALL(fcntl),
    CALL(msgrcv),
    CALL(semop),
    CALL(semtimedop),
    CALL(mq_timedreceive),
    CALL(clone),
    CALL(openat),
    // By number, the same everywhere: older headers lack them.
    {"futex_waitv", 449},
    {"futex_wait", 455},
    {"io_uring_enter", 426},
    {"none", -1}};

// One of the names in "poll|ppoll" is that of `number`.
MAYBE_UNUSED static int is_call(const char* names, long number) {
  for (size_t i = 0; i < sizeof(call_names) / sizeof(call_names[0]); ++i) {
    if (call_names[i].number != number) continue;
    const char* found = strstr(names, call_names[i].name);
    for (const size_t length = strlen(call_names[i].name); found;
         found = strstr(found + 1, call_names[i].name))
      if ((found == names || found[-1] == '|') && (found[length] == 0 || found[length] == '|')) return 1;
  }
  return 0;
}

MAYBE_UNUSED static void read_proc(pid_t pid, pid_t tid, const char* name, char* text, size_t size) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t n = file < 0 ? -1 : read(file, text, size - 1);
  if (file >= 0) close(file);
  text[n > 0 ? n : 0] = 0;
}

// Off its run queue, in that state and call: only then the kernel tells a number.
MAYBE_UNUSED static int is_asleep(pid_t pid, pid_t tid, const char* calls, const char* states) {
  char text[512];
  read_proc(pid, tid, "stat", text, sizeof(text));
  const char* after = strrchr(text, ')');
  if (!after || !strchr(states ? states : "S", after[2])) return 0;
  if (!calls) return 1;
  read_proc(pid, tid, "syscall", text, sizeof(text));
  return text[0] && text[0] != 'r' && is_call(calls, atol(text));
}

MAYBE_UNUSED static void await_asleep(const char* name, pid_t pid, pid_t tid, const struct wait* wait) {
  for (int tries = 0; !is_asleep(pid, tid, wait->call, wait->state); ++tries) {
    if (tries == 60000) {
      char text[512];
      read_proc(pid, tid, "syscall", text, sizeof(text));
      fprintf(stderr, "%s: thread %d of %d is not asleep in %s: %s\n", name, tid, pid,
              wait->call ? wait->call : "any call", text);
      _exit(9);
    }
    pause_for(500000);
  }
}

// Until it sleeps in a futex that lies in the bytes of `object`.
MAYBE_UNUSED static void await_futex_in(const char* name, pid_t tid, const volatile void* object,
                                        size_t size) {
  for (int tries = 0; tries < 60000; ++tries) {
    char text[512];
    unsigned long at = 0;
    read_proc(getpid(), tid, "syscall", text, sizeof(text));
    if (is_asleep(getpid(), tid, "futex", NULL) && sscanf(text, "%*d %lx", &at) == 1 &&
        at - (unsigned long)object < size)
      return;
    pause_for(500000);
  }
  die(name);
}

static const char kRests[] = "pause|ppoll|rt_sigsuspend";

// Until it is in rest_for_good().
MAYBE_UNUSED static void await_resting(pid_t pid, pid_t tid) {
  struct wait wait;
  memset(&wait, 0, sizeof(wait));
  wait.call = kRests;
  await_asleep("a thread that is to rest", pid, tid, &wait);
}

// --- threads and children --------------------------------------------------------------------------

struct start {
  void (*body)(void*);
  void* argument;
  volatile pid_t tid;
  pthread_t thread;
};

MAYBE_UNUSED NOINLINE static void* thread_of_case(void* argument) {
  struct start* start = (struct start*)argument;
  __atomic_store_n(&start->tid, thread_id(), __ATOMIC_SEQ_CST);
  start->body(start->argument);
  __asm__ volatile("" ::: "memory");  // no jump into the body
  return NULL;
}

// Never freed: the thread may outlive everybody who knows it.
MAYBE_UNUSED static struct start* start_thread(void (*body)(void*), void* argument) {
  struct start* start = (struct start*)calloc(1, sizeof(*start));
  if (!start) die("calloc");
  start->body = body;
  start->argument = argument;
  if ((errno = pthread_create(&start->thread, NULL, thread_of_case, start))) die("pthread_create");
  while (!__atomic_load_n(&start->tid, __ATOMIC_SEQ_CST)) pause_for(100000);
  return start;
}

// A thread that blocks as told, and is told of when it does.
MAYBE_UNUSED static pid_t block(const char* name, void (*body)(void*), void* argument, struct wait wait) {
  const pid_t tid = start_thread(body, argument)->tid;
  await_asleep(name, getpid(), tid, &wait);
  tell(name, getpid(), tid, &wait);
  return tid;
}

// A thread that takes something, says so, and keeps it for good.
struct hold {
  void (*take)(void*);
  void* what;
  volatile int taken;
};

MAYBE_UNUSED NOINLINE static void rest_for_good(void) {
  while (1) pause();
}

MAYBE_UNUSED static void take_and_rest(void* argument) {
  struct hold* hold = (struct hold*)argument;
  hold->take(hold->what);
  __atomic_store_n(&hold->taken, 1, __ATOMIC_SEQ_CST);
  rest_for_good();
}

MAYBE_UNUSED static pid_t holder_of(void (*take)(void*), void* what) {
  struct hold* hold = (struct hold*)calloc(1, sizeof(*hold));
  if (!hold) die("calloc");
  hold->take = take;
  hold->what = what;
  const pid_t tid = start_thread(take_and_rest, hold)->tid;
  while (!__atomic_load_n(&hold->taken, __ATOMIC_SEQ_CST)) pause_for(100000);
  // Quiet, as it is to be: what a test looks at holds still.
  await_resting(getpid(), tid);
  return tid;
}

// A child that ends with us, whatever ends us. Returns when its body has written to the pipe or ended.
MAYBE_UNUSED static pid_t child_running(void (*body)(int told)) {
  const pid_t parent = getpid();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    close(ends[0]);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
    body(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  char byte;
  if (read(ends[0], &byte, 1) < 0) die("read");
  close(ends[0]);
  return pid;
}

// --- main ------------------------------------------------------------------------------------------

// All of them, or those named on the command line, or all but those named after "--but".
MAYBE_UNUSED static void make_cases(const struct case_of* cases, size_t count, int argc, char** argv) {
  const int but = argc > 1 && !strcmp(argv[1], "--but");
  int found = 0;
  for (size_t i = 0; i < count; ++i) {
    int named = 0;
    for (int j = 1; j < argc; ++j) named = named || !strcmp(cases[i].name, argv[j]);
    found += named;
    if (argc == 1 || named != but) cases[i].make(cases[i].name);
  }
  if (found != argc - 1 - but) die("no such case");
}

// Makes them, then is ready. Stdin's end is ours.
MAYBE_UNUSED static int run_cases(const struct case_of* cases, size_t count, int argc, char** argv) {
  make_cases(cases, count, argc, argv);
  tell_word("ready");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0)
    if (byte == '\n') tell_word("done");
  _exit(0);  // the threads need no leave
}

#define RUN_CASES(cases, argc, argv) run_cases(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv)

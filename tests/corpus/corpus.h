// What the programs of the corpus share: small programs that run as `NAME faulty [SCALE_MS]`, where their
// threads come to the state that expected.json tells, or as `NAME healthy [SCALE_MS]`: the same functions and
// thread names, and nothing wrong. For C and C++.
//
// Protocol: one line of JSON when the state has formed, {"ready": true, "pid": …, "culprit_tids": […], …},
// then the program lives until its stdin ends. Where something grows, the line comes first. SCALE_MS paces
// what grows or comes in bursts.
//
// main() starts the threads, then reads stdin; a thread tells its name by enter(), and is known by it then.
// The order in which a fault comes about is forced by words that are polled, not by locks: what a test sees
// in a lock is the case itself.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A function that a test looks for on a stack.
#define NOINLINE __attribute__((noinline, noclone))
#define MAYBE_UNUSED __attribute__((unused))
#define AN_HOUR_MS 3600000
// Between two rounds of a thread that works; who is waited for comes half as often, so that nothing piles up.
#define BEAT_MS 50
#define SLOW_BEAT_MS 100
#ifdef SYS_pause
#define CALL_OF_PAUSE SYS_pause
#else
#define CALL_OF_PAUSE SYS_ppoll  // arm64 never had the other
#endif

MAYBE_UNUSED static int faulty;
MAYBE_UNUSED static int scale_ms = 1000;

MAYBE_UNUSED __attribute__((noreturn)) static void die(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  _exit(9);
}

MAYBE_UNUSED static void corpus_begin(int argc, char** argv) {
  if (argc >= 2) faulty = !strcmp(argv[1], "faulty");
  if (argc < 2 || argc > 3 || (!faulty && strcmp(argv[1], "healthy"))) {
    fprintf(stderr, "usage: %s faulty|healthy [SCALE_MS]\n", argv[0]);
    _exit(2);
  }
  if (argc == 3) scale_ms = atoi(argv[2]);
  if (scale_ms < 10) scale_ms = 10;
  signal(SIGPIPE, SIG_IGN);
}

MAYBE_UNUSED static void nap(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) && errno == EINTR) {
  }
}

MAYBE_UNUSED static void set_word(volatile int* word) {
  __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
}
MAYBE_UNUSED static void await_word(volatile int* word) {
  while (!__atomic_load_n(word, __ATOMIC_SEQ_CST)) nap(1);
}

MAYBE_UNUSED __attribute__((noreturn)) NOINLINE static void rest_for_good(void) {
  for (;;) pause();
}

// --- threads ---------------------------------------------------------------------------------------

struct known_thread {
  char name[16];
  pid_t tid;
};
static struct known_thread known_threads[256];
static int known_count;

// The calling thread takes this name. The first 256 are known by it.
MAYBE_UNUSED static pid_t enter(const char* name) {
  const pid_t tid = (pid_t)syscall(SYS_gettid);
  if (strlen(name) > 15 || pthread_setname_np(pthread_self(), name)) die(name);
  const int at = __atomic_fetch_add(&known_count, 1, __ATOMIC_SEQ_CST);
  if (at >= 256) return tid;
  strcpy(known_threads[at].name, name);
  __atomic_store_n(&known_threads[at].tid, tid, __ATOMIC_SEQ_CST);
  return tid;
}

MAYBE_UNUSED static pid_t find_thread(const char* name) {
  for (int i = 0; i < 256; ++i)
    if (__atomic_load_n(&known_threads[i].tid, __ATOMIC_SEQ_CST) && !strcmp(known_threads[i].name, name))
      return known_threads[i].tid;
  return 0;
}

MAYBE_UNUSED static pid_t tid_of(const char* name) {
  for (int tries = 0; tries < 60000; ++tries, nap(1)) {
    const pid_t tid = find_thread(name);
    if (tid) return tid;
  }
  die(name);
}

MAYBE_UNUSED static pthread_t start(void* (*body)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  pthread_t thread;
  if ((errno = pthread_create(&thread, &attributes, body, argument))) die("pthread_create");
  pthread_attr_destroy(&attributes);
  return thread;
}

// A thread's body that needs no argument.
#define THREAD(name) static void* name(MAYBE_UNUSED void* argument)

// --- the state has formed --------------------------------------------------------------------------

// Until it sleeps in that system call.
MAYBE_UNUSED static void await_asleep(pid_t pid, pid_t tid, long call) {
  char path[64], text[512];
  for (int tries = 0; tries < 60000; ++tries, nap(1)) {
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (file >= 0) close(file);
    if (n <= 0) continue;
    text[n] = 0;
    if (text[0] >= '0' && text[0] <= '9' && atol(text) == call) return;
  }
  fprintf(stderr, "thread %d of %d is in system call %s, not in %ld\n", tid, pid, text, call);
  _exit(9);
}

// Until so many threads of ours are left.
MAYBE_UNUSED static void await_thread_count(int count) {
  for (int tries = 0; tries < 60000; ++tries, nap(1)) {
    DIR* tasks = opendir("/proc/self/task");
    if (!tasks) die("/proc/self/task");
    int found = 0;
    for (struct dirent* entry; (entry = readdir(tasks));) found += entry->d_name[0] != '.';
    closedir(tasks);
    if (found == count) return;
  }
  die("threads that were to end live on");
}

static pid_t culprits[256];
static int culprit_count;
static char more_facts[1024];

MAYBE_UNUSED static void add_culprit(pid_t tid) {
  if (culprit_count < 256) culprits[culprit_count++] = tid;
}

MAYBE_UNUSED __attribute__((format(printf, 1, 2))) static void add_fact(const char* format, ...) {
  const size_t length = strlen(more_facts);
  va_list args;
  va_start(args, format);
  vsnprintf(more_facts + length, sizeof(more_facts) - length, format, args);
  va_end(args);
}

// Where it is faulty, that thread sleeps in that system call for good, beside the fault or as its culprit.
MAYBE_UNUSED static void bystander(const char* name, long call) {
  const pid_t tid = tid_of(name);
  if (faulty) await_asleep(getpid(), tid, call);
}
MAYBE_UNUSED static void culprit(const char* name, long call) {
  bystander(name, call);
  add_culprit(tid_of(name));
}

// Tells that it is ready, and ends with stdin.
MAYBE_UNUSED __attribute__((noreturn)) static void live(void) {
  char line[8192];
  int length =
      snprintf(line, sizeof(line), "{\"ready\": true, \"pid\": %d, \"mode\": \"%s\", \"culprit_tids\": [",
               getpid(), faulty ? "faulty" : "healthy");
  for (int i = 0; i < culprit_count && faulty; ++i)
    length += snprintf(line + length, sizeof(line) - (size_t)length, "%s%d", i ? ", " : "", culprits[i]);
  length += snprintf(line + length, sizeof(line) - (size_t)length, "]%s}\n", more_facts);
  if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(8);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);  // the threads need no leave
}

// --- processes -------------------------------------------------------------------------------------

MAYBE_UNUSED static void* shared_memory(size_t size) {
  void* page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) die("mmap");
  return page;
}

// A child that ends with us, whatever ends us; it has a name of its own. `body` is not to return.
MAYBE_UNUSED static pid_t fork_child(const char* name, void (*body)(void)) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid) return pid;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
  const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (none < 0 || dup2(none, STDIN_FILENO) < 0) _exit(7);
  close(none);
  prctl(PR_SET_NAME, name);
  body();
  _exit(0);
}

// The main thread of a child, as bystander() and culprit() are for threads. Its pid is told.
MAYBE_UNUSED static void child_is_in(pid_t pid, long call) {
  if (faulty) await_asleep(pid, pid, call);
}
MAYBE_UNUSED static void tell_pids(const pid_t* pids, int count) {
  add_fact(", \"pids\": [");
  for (int i = 0; i < count; ++i) add_fact("%s%d", i ? ", " : "", pids[i]);
  add_fact("]");
}

// --- locks and files -------------------------------------------------------------------------------

enum { kRobust = 1, kInherit = 2, kShared = 4 };

MAYBE_UNUSED static void make_mutex(pthread_mutex_t* mutex, int type, int flags) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  if (flags & kRobust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (flags & kInherit) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  if (flags & kShared) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if ((errno = pthread_mutex_init(mutex, &attributes))) die("pthread_mutex_init");
  pthread_mutexattr_destroy(&attributes);
}

MAYBE_UNUSED static void make_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
}

// A file, or a FIFO, that has no name any more: nothing stays behind, whatever ends us. Open it anew for
// locks of one's own, or to open the FIFO at all.
MAYBE_UNUSED static int nameless(int is_fifo) {
  char directory[] = "/tmp/loiter-corpus-XXXXXX", path[64];
  if (!mkdtemp(directory)) die("mkdtemp");
  snprintf(path, sizeof(path), "%s/file", directory);
  if (is_fifo && mkfifo(path, 0600)) die(path);
  const int fd = open(path, (is_fifo ? O_PATH : O_RDWR | O_CREAT) | O_CLOEXEC, 0600);
  if (fd < 0) die(path);
  unlink(path);
  rmdir(directory);
  return fd;
}
MAYBE_UNUSED static int open_anew(int fd, int flags) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const int again = open(path, flags | O_CLOEXEC);
  if (again < 0) die(path);
  return again;
}

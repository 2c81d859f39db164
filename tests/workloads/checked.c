// A program for `loiter check`: it does one thing with its threads, and ends. No protocol: its output and its
// exit code are its own. `checked MODE [NUMBER]…`; C, so that there is a static one, and both with musl.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER, one = PTHREAD_MUTEX_INITIALIZER,
                       other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int started, first_taken, second_taken;
static long lives_ms = -1;

static void nap(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) && errno == EINTR) {
  }
}
static void set(int* word) {
  __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
}
static void await(int* word, int value) {
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) < value) nap(1);
}

static NOINLINE void wait_for_work(void) {
  pthread_mutex_lock(&gate);
  for (;;) pthread_cond_wait(&never, &gate);
}
static void* pool_worker(void* name) {
  prctl(PR_SET_NAME, name);
  set(&started);
  if (lives_ms >= 0)
    nap(lives_ms);
  else
    wait_for_work();
  return NULL;
}
static void* short_worker(void* argument) {
  return argument;
}
static NOINLINE pthread_t start(void* (*body)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, argument)) abort();
  return thread;
}
static NOINLINE void open_pool(int count) {
  for (int i = 0; i < count; ++i) start(pool_worker, "pool-worker");
  await(&started, count);
}
static NOINLINE void forget_threads(int count) {
  for (int i = 0; i < count; ++i) start(short_worker, NULL);
}

static NOINLINE void take_both(pthread_mutex_t* mine, pthread_mutex_t* theirs, int* taken, int* awaited) {
  pthread_mutex_lock(mine);
  set(taken);
  await(awaited, 1);
  pthread_mutex_lock(theirs);
}
static void* debit(void* argument) {
  prctl(PR_SET_NAME, "debit");
  take_both(&one, &other, &first_taken, &second_taken);
  return argument;
}
static void* credit(void* argument) {
  prctl(PR_SET_NAME, "credit");
  take_both(&other, &one, &second_taken, &first_taken);
  return argument;
}

static void* end_it(void* code) {
  exit((int)(long)code);
}

static int copy_streams(void) {
  char buffer[4096];
  ssize_t got;
  size_t all = 0;
  while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
    all += (size_t)got;
    if (write(STDOUT_FILENO, buffer, (size_t)got) != got) return 9;
  }
  dprintf(STDERR_FILENO, "%zu bytes\n", all);
  return 0;
}

// Refuses getppid, as a sandbox would; exit_group is allowed.
static int own_filter(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) return 8;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    return 9;
  return syscall(SYS_getppid) == -1 && errno == EPERM ? 0 : 7;
}

// Each child makes a thread and executes something; their codes come back.
static int run_children(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t pid = fork();
    if (pid < 0) return 9;
    if (pid == 0) {
      char text[32];
      snprintf(text, sizeof(text), "exit %d", i + 1);
      pthread_join(start(short_worker, NULL), NULL);
      if (i % 2) _exit(i + 1);
      execl("/bin/sh", "sh", "-c", text, NULL);
      _exit(99);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != i + 1) return 8;
  }
  return system("exit 3") == 3 << 8 ? 0 : 7;
}

// A child with a pool of its own, and a grandchild with one.
static int leave_pools(int depth) {
  if (depth == 0) return 0;
  const pid_t pid = fork();
  if (pid == 0) {
    started = 0;
    open_pool(depth);
    exit(leave_pools(depth - 1));
  }
  int status;
  return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 9;
}

// Some of everything that programs do, a millisecond or so a round: counting, system calls, a thread. Says
// how much CPU time it took, in ns.
static int work(int rounds) {
  volatile unsigned long sum = 0;
  for (int round = 0; round < rounds; ++round) {
    for (unsigned long i = 0; i < 400000; ++i) sum += i * i;
    for (int i = 0; i < 500; ++i) syscall(SYS_getppid);
    pthread_join(start(short_worker, NULL), NULL);
  }
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  printf("%lld\n", used.tv_sec * 1000000000LL + used.tv_nsec);
  return 0;
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? atoi(argv[2]) : 0;
  if (argc > 3) lives_ms = atol(argv[3]);
  if (!strcmp(mode, "joined"))
    for (int i = 0; i < number; ++i) pthread_join(start(short_worker, NULL), NULL);
  else if (!strcmp(mode, "pool"))
    open_pool(number);
  else if (!strcmp(mode, "forgotten"))
    forget_threads(number);
  else if (!strcmp(mode, "deadlock") || !strcmp(mode, "late_deadlock")) {
    const pthread_t a = start(debit, NULL), b = start(credit, NULL);
    await(&first_taken, 1);
    await(&second_taken, 1);
    if (mode[0] == 'd') pthread_join(a, NULL), pthread_join(b, NULL);
    nap(100);  // they have locked by now, or do at once
    return number;
  } else if (!strcmp(mode, "code"))
    return number;
  else if (!strcmp(mode, "signal"))
    raise(number);
  else if (!strcmp(mode, "hang")) {
    signal(SIGTERM, number ? SIG_IGN : SIG_DFL);
    if (write(STDOUT_FILENO, "hangs\n", 6) != 6) return 9;
    for (;;) pause();
  } else if (!strcmp(mode, "by_worker")) {
    start(end_it, (void*)(long)number);
    for (;;) pause();
  } else if (!strcmp(mode, "raw_exit"))
    syscall(SYS_exit, number);
  else if (!strcmp(mode, "streams"))
    return copy_streams();
  else if (!strcmp(mode, "own_filter"))
    return own_filter();
  else if (!strcmp(mode, "work"))
    return work(number);
  else if (!strcmp(mode, "children"))
    return run_children(number);
  else if (!strcmp(mode, "family"))
    return leave_pools(number);
  else
    return 64;
  return 0;
}

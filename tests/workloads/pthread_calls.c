// Threads made, joined, detached and forgotten in every way that the thread library has, on command: what
// became of each is known. In C, so that musl's compiler takes it too; also static.
#include "tests/workloads/cases.h"

#include <sched.h>
#include <stdatomic.h>
#include <threads.h>

enum { JOINED = 5, DETACHED = 4, SELF_DETACHED = 3, UNJOINED = 6, TRIED = 2, EXITED = 2, C11_JOINED = 2 };

static atomic_int told_tid;  // by the thread made last
static atomic_int may_end;

static void publish(void) {
  atomic_store(&told_tid, thread_id());
}

static void* quick(void* arg) {
  publish();
  return arg;
}

static void* detaches_itself(void* arg) {
  pthread_detach(pthread_self());
  publish();
  return arg;
}

static void* exits(void* arg) {
  publish();
  pthread_exit(arg);
}

static void* waits(void* arg) {
  publish();
  while (!atomic_load(&may_end)) pause_for(1000000);
  return arg;
}

static int quick_c11(void* arg) {
  publish();
  return arg != NULL;
}

static pid_t last_tid(void) {
  pid_t tid;
  while ((tid = atomic_exchange(&told_tid, 0)) == 0) sched_yield();
  return tid;
}

// Returns when the kernel has no such thread any more.
static void await_end(pid_t tid) {
  while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) pause_for(1000000);
}

static pid_t make(pthread_t* thread, void* (*routine)(void*), void* arg, int detached) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (detached) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (pthread_create(thread, detached ? &attributes : NULL, routine, arg)) die("pthread_create");
  pthread_attr_destroy(&attributes);
  return last_tid();
}

static void* joins(void* arg) {
  publish();
  pthread_join(*(pthread_t*)arg, NULL);
  return NULL;
}

static void tell_thread(const char* fate, pid_t tid, pthread_t thread, pid_t joiner) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"%s\", \"tid\": %d, \"pthread\": \"0x%lx\", \"joiner\": %d}", fate, tid,
         (unsigned long)thread, joiner);
  tell_line(&line);
}

static void join_some(void) {
  pthread_t thread, joiner;
  for (int i = 0; i < JOINED; ++i) {
    const pid_t tid = make(&thread, quick, NULL, 0);
    if (pthread_join(thread, NULL)) die("pthread_join");
    tell_thread("joined", tid, thread, getpid());
  }
  for (int i = 0; i < EXITED; ++i) {
    const pid_t tid = make(&thread, exits, &thread, 0);
    if (pthread_join(thread, NULL)) die("pthread_join");
    tell_thread("joined", tid, thread, getpid());
  }
  for (int i = 0; i < TRIED; ++i) {
    const pid_t tid = make(&thread, quick, NULL, 0);
    await_end(tid);
    if (pthread_tryjoin_np(thread, NULL)) die("pthread_tryjoin_np");
    tell_thread("joined", tid, thread, getpid());
  }
  // By another one, while it lives.
  atomic_store(&may_end, 0);
  const pid_t tid = make(&thread, waits, NULL, 0);
  const pid_t joiner_tid = make(&joiner, joins, &thread, 0);
  pause_for(20000000);  // most times it is in the join by then; the answer is the same if it is not
  atomic_store(&may_end, 1);
  if (pthread_join(joiner, NULL)) die("pthread_join");
  tell_thread("joined", tid, thread, joiner_tid);
  tell_thread("joined", joiner_tid, joiner, getpid());
  for (int i = 0; i < C11_JOINED; ++i) {
    thrd_t c11;
    if (thrd_create(&c11, quick_c11, NULL) != thrd_success) die("thrd_create");
    const pid_t c11_tid = last_tid();
    if (thrd_join(c11, NULL) != thrd_success) die("thrd_join");
    tell_thread("joined", c11_tid, (pthread_t)c11, getpid());
  }
}

static void detach_some(void) {
  pthread_t thread;
  for (int i = 0; i < DETACHED + SELF_DETACHED; ++i) {
    const pid_t tid = make(&thread, i < DETACHED ? quick : detaches_itself, NULL, i < DETACHED);
    await_end(tid);
    tell_thread("detached", tid, thread, 0);
  }
}

static void forget_some(void) {
  pthread_t thread;
  for (int i = 0; i < UNJOINED; ++i) {
    const pid_t tid = make(&thread, quick, NULL, 0);
    await_end(tid);
    tell_thread("unjoined", tid, thread, 0);
  }
}

static int raw_thread(void* stack) {
  (void)stack;
  return 0;
}

// Without the library: none of its threads.
static void make_raw_one(void) {
  static char stack[64 * 1024] __attribute__((aligned(16)));
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  const pid_t tid = clone(raw_thread, stack + sizeof(stack), flags, NULL);
  if (tid < 0) die("clone");
  await_end(tid);
}

int main(void) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"routine\", \"quick\": \"0x%lx\", \"libc\": \"%s\"}", (unsigned long)quick,
         LIBC);
  tell_line(&line);
  tell_word("ready");
  char command[64];
  while (fgets(command, sizeof(command), stdin)) {
    if (strncmp(command, "mix", 3) == 0) {
      join_some();
      detach_some();
      forget_some();
      make_raw_one();
    } else if (strncmp(command, "join", 4) == 0) {
      join_some();
    }
    tell_word("done");
  }
  return 0;
}

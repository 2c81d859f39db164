// lock_kinds [CASE...]: threads that wait for locks of every kind that libc has, and who holds each. A
// thread's frames are the functions here, so the stack can be held to them.
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/workloads/cases.h"

#define WAIT_IN(name, type, call)             \
  NOINLINE static void name(void* argument) { \
    type* lock = (type*)argument;             \
    call;                                     \
    came_back(#name);                         \
  }

static struct timespec in_an_hour(clockid_t clock) {
  struct timespec moment;
  clock_gettime(clock, &moment);
  moment.tv_sec += AN_HOUR;
  return moment;
}

WAIT_IN(wait_in_mutex_lock, pthread_mutex_t, pthread_mutex_lock(lock))
WAIT_IN(wait_in_mutex_timedlock, pthread_mutex_t, struct timespec end = in_an_hour(CLOCK_REALTIME);
        pthread_mutex_timedlock(lock, &end))
WAIT_IN(wait_in_rwlock_rdlock, pthread_rwlock_t, pthread_rwlock_rdlock(lock))
WAIT_IN(wait_in_rwlock_wrlock, pthread_rwlock_t, pthread_rwlock_wrlock(lock))
WAIT_IN(wait_in_rwlock_timedrdlock, pthread_rwlock_t, struct timespec end = in_an_hour(CLOCK_REALTIME);
        pthread_rwlock_timedrdlock(lock, &end))
WAIT_IN(wait_in_fputc, FILE, fputc('x', lock))
WAIT_IN(wait_in_flockfile, FILE, flockfile(lock))
WAIT_IN(wait_in_spin_free_relock, pthread_mutex_t, pthread_mutex_lock(lock); pthread_mutex_lock(lock))

static void take_mutex(void* lock) {
  if (pthread_mutex_lock((pthread_mutex_t*)lock)) die("pthread_mutex_lock");
}
static void take_to_read(void* lock) {
  if (pthread_rwlock_rdlock((pthread_rwlock_t*)lock)) die("pthread_rwlock_rdlock");
}
static void take_to_write(void* lock) {
  if (pthread_rwlock_wrlock((pthread_rwlock_t*)lock)) die("pthread_rwlock_wrlock");
}
static void take_file(void* file) {
  flockfile((FILE*)file);
}

enum { kRobust = 1, kPi = 2, kShared = 4 };

// In memory that a fork shares.
static pthread_mutex_t* new_mutex(int type, int flags) {
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) die("mmap");
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  if (flags & kRobust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if ((flags & kPi) && (errno = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT)))
    die("PTHREAD_PRIO_INHERIT");
  if (flags & kShared) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if ((errno = pthread_mutex_init((pthread_mutex_t*)page, &attributes))) die("pthread_mutex_init");
  return (pthread_mutex_t*)page;
}

static struct wait for_mutex(pthread_mutex_t* mutex, pid_t holder, const char* detail) {
  return (struct wait){.kind = "lock",
                       .call = "futex",
                       .object = mutex,
                       .size = sizeof(*mutex),
                       .detail = detail,
                       .holder = holder,
                       .holder_state = "alive",
                       .scope = "private",
                       .frames = "wait_in_mutex_lock thread_of_case"};
}

static void mutex_of(const char* name, int type, int flags, const char* detail) {
  pthread_mutex_t* mutex = new_mutex(type, flags);
  struct wait wait = for_mutex(mutex, holder_of(take_mutex, mutex), detail);
  // A robust one always waits with a shared futex: glibc 2.36, nptl/pthread_mutex_lock.c.
  if (flags & (kRobust | kShared)) wait.scope = flags & kShared ? "shared" : NULL;
  if (type == PTHREAD_MUTEX_NORMAL && !(flags & (kRobust | kPi))) wait.note = "musl: no owner";
  block(name, wait_in_mutex_lock, mutex, wait);
}

static void mutex_normal(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_NORMAL, 0, "normal");
}
static void mutex_recursive(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_RECURSIVE, 0, "recursive");
}
static void mutex_errorcheck(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_ERRORCHECK, 0, "errorcheck");
}
static void mutex_robust(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_NORMAL, kRobust, "robust");
}
static void mutex_pi(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_NORMAL, kPi, "priority inheritance|PI");
}
static void mutex_shared(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_NORMAL, kShared, "pthread_mutex_t");
}

static void mutex_timed(const char* name) {
  pthread_mutex_t* mutex = new_mutex(PTHREAD_MUTEX_NORMAL, 0);
  struct wait wait = for_mutex(mutex, holder_of(take_mutex, mutex), "normal");
  wait.frames = "wait_in_mutex_timedlock thread_of_case";
  wait.timeout_s = AN_HOUR;
  wait.note = "musl: no owner";
  block(name, wait_in_mutex_timedlock, mutex, wait);
}

static void mutex_timed_of(const char* name, int flags, const char* detail) {
  pthread_mutex_t* mutex = new_mutex(PTHREAD_MUTEX_NORMAL, flags);
  struct wait wait = for_mutex(mutex, holder_of(take_mutex, mutex), detail);
  wait.frames = "wait_in_mutex_timedlock thread_of_case";
  wait.timeout_s = AN_HOUR;
  if (flags & kRobust) wait.scope = NULL;
  block(name, wait_in_mutex_timedlock, mutex, wait);
}
static void mutex_timed_robust(const char* name) {
  mutex_timed_of(name, kRobust, "robust");
}
static void mutex_timed_pi(const char* name) {
  mutex_timed_of(name, kPi, "priority inheritance|PI");
}

// Woken from a condition, it waits for the mutex that it gave up for it.
struct retaken {
  pthread_mutex_t* mutex;
  pthread_cond_t condition;
  volatile int waits;
};

NOINLINE static void wait_in_cond_wait(void* argument) {
  struct retaken* retaken = (struct retaken*)argument;
  take_mutex(retaken->mutex);
  __atomic_store_n(&retaken->waits, 1, __ATOMIC_SEQ_CST);
  pthread_cond_wait(&retaken->condition, retaken->mutex);
  came_back("wait_in_cond_wait");
}

static void retake(const char* name, int flags, const char* detail) {
  struct retaken* retaken = (struct retaken*)calloc(1, sizeof(*retaken));
  if (!retaken || pthread_cond_init(&retaken->condition, NULL)) die("pthread_cond_init");
  retaken->mutex = new_mutex(PTHREAD_MUTEX_RECURSIVE, flags);
  const pid_t waiter = start_thread(wait_in_cond_wait, retaken)->tid;
  while (!__atomic_load_n(&retaken->waits, __ATOMIC_SEQ_CST)) pause_for(100000);
  // It has the mutex until it waits, so whoever gets it now finds it waiting.
  struct wait wait = for_mutex(retaken->mutex, holder_of(take_mutex, retaken->mutex), detail);
  pthread_cond_signal(&retaken->condition);
  wait.frames = "wait_in_cond_wait thread_of_case";
  if (flags & kRobust) wait.scope = NULL;
  await_futex_in(name, waiter, retaken->mutex, sizeof(*retaken->mutex));
  tell(name, getpid(), waiter, &wait);
}
static void retake_recursive(const char* name) {
  retake(name, 0, "recursive");
}
static void retake_robust(const char* name) {
  retake(name, kRobust, "robust");
}
static void retake_pi(const char* name) {
  retake(name, kPi, "priority inheritance|PI");
}

#ifdef __GLIBC__
WAIT_IN(wait_in_mutex_clocklock, pthread_mutex_t, struct timespec end = in_an_hour(CLOCK_MONOTONIC);
        pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &end))

static void mutex_clocked(const char* name) {
  pthread_mutex_t* mutex = new_mutex(PTHREAD_MUTEX_NORMAL, 0);
  struct wait wait = for_mutex(mutex, holder_of(take_mutex, mutex), "normal");
  wait.frames = "wait_in_mutex_clocklock thread_of_case";
  wait.timeout_s = AN_HOUR;
  block(name, wait_in_mutex_clocklock, mutex, wait);
}

static void mutex_adaptive(const char* name) {
  mutex_of(name, PTHREAD_MUTEX_ADAPTIVE_NP, 0, "adaptive");
}
#endif

// It waits for itself.
static void mutex_self(const char* name) {
  pthread_mutex_t* mutex = new_mutex(PTHREAD_MUTEX_NORMAL, 0);
  struct start* start = start_thread(wait_in_spin_free_relock, mutex);
  struct wait wait = for_mutex(mutex, start->tid, "normal");
  wait.frames = "wait_in_spin_free_relock thread_of_case";
  wait.note = "musl: no owner";
  await_asleep(name, getpid(), start->tid, &wait);
  tell(name, getpid(), start->tid, &wait);
}

// The owner ended without letting go: nobody ever will.
static void mutex_owner_ended(const char* name) {
  pthread_mutex_t* mutex = new_mutex(PTHREAD_MUTEX_RECURSIVE, 0);
  struct start* owner = start_thread(take_mutex, mutex);
  pthread_join(owner->thread, NULL);
  struct wait wait = for_mutex(mutex, owner->tid, "recursive");
  wait.holder_state = "ended";
  block(name, wait_in_mutex_lock, mutex, wait);
}

// What a fork copies: the lock is taken, and the thread that took it is not there. In private memory, since
// that is what is copied.
static pthread_mutex_t inherited = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void child_waits_for_inherited(int told) {
  (void)told;
  wait_in_mutex_lock(&inherited);
}

static pid_t fork_into(void (*body)(int)) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
    body(-1);
    _exit(0);
  }
  return pid;
}

static void mutex_inherited(const char* name) {
  struct wait wait = for_mutex(&inherited, holder_of(take_mutex, &inherited), "normal");
  const pid_t child = fork_into(child_waits_for_inherited);
  wait.holder_state = "inherited";
  wait.holder_pid = child;
  wait.frames = "wait_in_mutex_lock child_waits_for_inherited";
  wait.note = "musl: no owner";
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

static pthread_mutex_t* between;

NOINLINE static void child_waits_for_parent(int told) {
  (void)told;
  wait_in_mutex_lock(between);
}

// Held by a thread of another process.
static void mutex_between_processes(const char* name) {
  between = new_mutex(PTHREAD_MUTEX_RECURSIVE, kShared);
  struct wait wait = for_mutex(between, holder_of(take_mutex, between), "recursive");
  const pid_t child = fork_into(child_waits_for_parent);
  wait.scope = "shared";
  wait.holder_pid = getpid();
  wait.frames = "wait_in_mutex_lock child_waits_for_parent";
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

// Two wait; the holder lets go, one of the two gets it, the other stays: its holder is that one now. glibc
// wakes the one that came first.
struct handed {
  pthread_mutex_t* mutex;
  volatile int taken, let_go;
  volatile pid_t owner;
};

NOINLINE static void wait_in_turn(void* argument) {
  struct handed* handed = (struct handed*)argument;
  pthread_mutex_lock(handed->mutex);
  __atomic_store_n(&handed->owner, thread_id(), __ATOMIC_SEQ_CST);
  rest_for_good();
}

static void hold_then_let_go(void* argument) {
  struct handed* handed = (struct handed*)argument;
  take_mutex(handed->mutex);
  __atomic_store_n(&handed->taken, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&handed->let_go, __ATOMIC_SEQ_CST)) pause_for(100000);
  pthread_mutex_unlock(handed->mutex);
  rest_for_good();
}

static void mutex_handed_over(const char* name) {
  struct handed* handed = (struct handed*)calloc(1, sizeof(*handed));
  handed->mutex = new_mutex(PTHREAD_MUTEX_RECURSIVE, 0);
  start_thread(hold_then_let_go, handed);
  while (!__atomic_load_n(&handed->taken, __ATOMIC_SEQ_CST)) pause_for(100000);
  struct wait wait = for_mutex(handed->mutex, 0, "recursive");
  wait.frames = "wait_in_turn thread_of_case";
  const pid_t first = start_thread(wait_in_turn, handed)->tid;
  await_asleep(name, getpid(), first, &wait);
  const pid_t second = start_thread(wait_in_turn, handed)->tid;
  await_asleep(name, getpid(), second, &wait);
  __atomic_store_n(&handed->let_go, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&handed->owner, __ATOMIC_SEQ_CST)) pause_for(100000);
  wait.holder = handed->owner;
  const pid_t waiter = handed->owner == first ? second : first;
  await_resting(getpid(), wait.holder);
  await_asleep(name, getpid(), waiter, &wait);
  tell(name, getpid(), waiter, &wait);
}

static pthread_rwlock_t* new_rwlock(void) {
  pthread_rwlock_t* lock = (pthread_rwlock_t*)calloc(1, sizeof(*lock));
  if (!lock || pthread_rwlock_init(lock, NULL)) die("pthread_rwlock_init");
  return lock;
}

static void rwlock_of(const char* name, void (*take)(void*), void (*want)(void*), const char* frames,
                      int timeout_s) {
  pthread_rwlock_t* lock = new_rwlock();
  const pid_t holder = holder_of(take, lock);
  // Nobody counts readers by name.
  const int known = take == take_to_write;
  block(name, want, lock,
        (struct wait){.kind = "lock",
                      .call = "futex",
                      .object = lock,
                      .size = sizeof(*lock),
                      .detail = "rwlock",
                      .holder = known ? holder : 0,
                      .holder_state = known ? "alive" : "none|unknown",
                      .timeout_s = timeout_s,
                      .scope = "private",
                      .frames = frames,
                      .note = "musl: no owner"});
}

static void reader_behind_writer(const char* name) {
  rwlock_of(name, take_to_write, wait_in_rwlock_rdlock, "wait_in_rwlock_rdlock thread_of_case", 0);
}
static void writer_behind_writer(const char* name) {
  rwlock_of(name, take_to_write, wait_in_rwlock_wrlock, "wait_in_rwlock_wrlock thread_of_case", 0);
}
static void writer_behind_readers(const char* name) {
  rwlock_of(name, take_to_read, wait_in_rwlock_wrlock, "wait_in_rwlock_wrlock thread_of_case", 0);
}
static void timed_reader(const char* name) {
  rwlock_of(name, take_to_write, wait_in_rwlock_timedrdlock, "wait_in_rwlock_timedrdlock thread_of_case",
            AN_HOUR);
}

static void file_of(const char* name, void (*want)(void*), const char* frames) {
  FILE* file = fopen("/dev/null", "w");
  if (!file) die("fopen");
  struct wait wait = {.kind = "lock",
                      .call = "futex",
                      .detail = "FILE",
                      .holder = holder_of(take_file, file),
                      .holder_state = "alive",
                      .scope = "private",
                      .frames = frames};
#ifdef __GLIBC__
  wait.object = (const volatile void*)file->_lock;  // libio/bits/stdio-lock.h: lock, count, owner
  wait.size = 16;
#endif
  block(name, want, file, wait);
}

static void file_fputc(const char* name) {
  file_of(name, wait_in_fputc, "wait_in_fputc thread_of_case");
}
static void file_flockfile(const char* name) {
  file_of(name, wait_in_flockfile, "wait_in_flockfile thread_of_case");
}

static const struct case_of cases[] = {
    {"mutex normal", mutex_normal},
    {"mutex recursive", mutex_recursive},
    {"mutex errorcheck", mutex_errorcheck},
    {"mutex robust", mutex_robust},
    {"mutex pi", mutex_pi},
    {"mutex shared", mutex_shared},
    {"mutex timed", mutex_timed},
    {"mutex timed robust", mutex_timed_robust},
    {"mutex timed pi", mutex_timed_pi},
    {"mutex retaken", retake_recursive},
    {"mutex retaken robust", retake_robust},
    {"mutex retaken pi", retake_pi},
#ifdef __GLIBC__
    {"mutex clocked", mutex_clocked},
    {"mutex adaptive", mutex_adaptive},
#endif
    {"mutex self", mutex_self},
    {"mutex owner ended", mutex_owner_ended},
    {"mutex inherited", mutex_inherited},
    {"mutex between processes", mutex_between_processes},
    {"mutex handed over", mutex_handed_over},
    {"rwlock reader behind writer", reader_behind_writer},
    {"rwlock writer behind writer", writer_behind_writer},
    {"rwlock writer behind readers", writer_behind_readers},
    {"rwlock timed reader", timed_reader},
    {"file fputc", file_fputc},
    {"file flockfile", file_flockfile},
};

int main(int argc, char** argv) {
  return RUN_CASES(cases, argc, argv);
}

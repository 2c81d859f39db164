// wait_kinds [CASE...]: threads that wait in every way that is no lock: for each other, in raw futexes, for
// time, signals and children. Those that wait in a descriptor or for a file lock: fd_kinds.
#include <limits.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "tests/workloads/cases.h"

static struct timespec in_an_hour(clockid_t clock) {
  struct timespec moment;
  clock_gettime(clock, &moment);
  moment.tv_sec += AN_HOUR;
  return moment;
}

static const struct timespec an_hour = {AN_HOUR, 0};

// --- of pthread and semaphores ---------------------------------------------------------------------

#define HERE(function) #function " thread_of_case"
#define SYNC(name_of_kind, thing, ...)                                                            \
  (struct wait) {                                                                                 \
    .kind = name_of_kind, .call = "futex", .object = thing, .size = sizeof(*(thing)), __VA_ARGS__ \
  }

static pthread_mutex_t of_condition = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void wait_in_cond_wait(void* condition) {
  pthread_mutex_lock(&of_condition);
  while (1) pthread_cond_wait((pthread_cond_t*)condition, &of_condition);
}

NOINLINE static void wait_in_cond_timedwait(void* condition) {
  const struct timespec end = in_an_hour(CLOCK_REALTIME);
  pthread_mutex_lock(&of_condition);
  pthread_cond_timedwait((pthread_cond_t*)condition, &of_condition, &end);
  came_back(__func__);
}

static pthread_cond_t conditions[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void cond_wait(const char* name) {
  block(name, wait_in_cond_wait, &conditions[0],
        SYNC("condvar", &conditions[0], .scope = "private", .frames = HERE(wait_in_cond_wait)));
}

static void cond_timedwait(const char* name) {
  block(name, wait_in_cond_timedwait, &conditions[1],
        SYNC("condvar", &conditions[1], .timeout_s = AN_HOUR, .frames = HERE(wait_in_cond_timedwait)));
}

NOINLINE static void wait_in_sem_wait(void* semaphore) {
  sem_wait((sem_t*)semaphore);
  came_back(__func__);
}

NOINLINE static void wait_in_sem_timedwait(void* semaphore) {
  const struct timespec end = in_an_hour(CLOCK_REALTIME);
  sem_timedwait((sem_t*)semaphore, &end);
  came_back(__func__);
}

static sem_t semaphores[2];

static void semaphore_wait(const char* name) {
  sem_init(&semaphores[0], 0, 0);
  block(name, wait_in_sem_wait, &semaphores[0],
        SYNC("semaphore", &semaphores[0], .scope = "private", .frames = HERE(wait_in_sem_wait)));
}

static void semaphore_timedwait(const char* name) {
  sem_init(&semaphores[1], 0, 0);
  block(name, wait_in_sem_timedwait, &semaphores[1],
        SYNC("semaphore", &semaphores[1], .timeout_s = AN_HOUR, .frames = HERE(wait_in_sem_timedwait)));
}

static void semaphore_named(const char* name) {
  char path[32];
  snprintf(path, sizeof(path), "/loiter-test-%d", getpid());
  sem_t* semaphore = sem_open(path, O_CREAT | O_EXCL, 0600, 0);
  if (semaphore == SEM_FAILED) die("sem_open");
  sem_unlink(path);
  block(name, wait_in_sem_wait, semaphore,
        SYNC("semaphore", semaphore, .scope = "shared", .frames = HERE(wait_in_sem_wait)));
}

NOINLINE static void wait_in_barrier(void* barrier) {
  pthread_barrier_wait((pthread_barrier_t*)barrier);
  came_back(__func__);
}

static void barrier(const char* name) {
  static pthread_barrier_t of_two;
  pthread_barrier_init(&of_two, NULL, 2);
  block(name, wait_in_barrier, &of_two, SYNC("barrier", &of_two, .frames = HERE(wait_in_barrier)));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

NOINLINE static void wait_in_once(void* unused) {
  (void)unused;
  pthread_once(&once, rest_for_good);
  came_back(__func__);
}

// The first is at the work, the second waits for it. It keeps no name.
static void once_second(const char* name) {
  const pid_t first = start_thread(wait_in_once, NULL)->tid;
  await_resting(getpid(), first);
  block(name, wait_in_once, NULL,
        SYNC("lock|futex|other", &once, .holder_state = "none|unknown", .frames = HERE(wait_in_once)));
}

NOINLINE static void wait_in_join(void* thread) {
  pthread_join(*(pthread_t*)thread, NULL);
  came_back(__func__);
}

NOINLINE static void wait_in_timedjoin(void* thread) {
  const struct timespec end = in_an_hour(CLOCK_REALTIME);
  pthread_timedjoin_np(*(pthread_t*)thread, NULL, &end);
  came_back(__func__);
}

static void spin_slowly(void* unused) {
  (void)unused;
  const struct sched_param none = {0};
  sched_setscheduler(0, SCHED_IDLE, &none);  // in nobody's way
  while (1) __asm__ volatile("");
}

static void rest(void* unused) {
  (void)unused;
  rest_for_good();
}

static void join_of(const char* name, struct start* joined, void (*body)(void*), const char* frames,
                    int timeout_s) {
  block(name, body, &joined->thread,
        (struct wait){.kind = "join",
                      .call = "futex",
                      .holder = joined->tid,
                      .holder_state = "alive",
                      .timeout_s = timeout_s,
                      .frames = frames});
}

static void join_running(const char* name) {
  join_of(name, start_thread(spin_slowly, NULL), wait_in_join, HERE(wait_in_join), 0);
}
static void join_blocked(const char* name) {
  join_of(name, start_thread(rest, NULL), wait_in_join, HERE(wait_in_join), 0);
}
static void join_timed(const char* name) {
  join_of(name, start_thread(rest, NULL), wait_in_timedjoin, HERE(wait_in_timedjoin), AN_HOUR);
}

// --- raw futexes -----------------------------------------------------------------------------------

struct raw {
  int operation;
  uint32_t value;
  const struct timespec* timeout;
  uint32_t* second;
};

static uint32_t words[16];

NOINLINE static void wait_in_futex(void* argument) {
  struct raw* raw = (struct raw*)argument;
  uint32_t* word = raw->second ? raw->second - 1 : &words[0];
  *(volatile uint32_t*)word = raw->value;
  syscall(SYS_futex, word, raw->operation, raw->value, raw->timeout, raw->second, FUTEX_BITSET_MATCH_ANY);
  came_back(__func__);
}

#define RAW(object_, scope_, timeout)                                                               \
  (struct wait) {                                                                                   \
    .kind = "futex", .call = "futex", .object = object_, .size = 4, .holder_state = "none|unknown", \
    .timeout_s = timeout, .scope = scope_, .frames = HERE(wait_in_futex)                            \
  }

static void futex_private(const char* name) {
  static struct raw raw = {FUTEX_WAIT_PRIVATE, 2, NULL, NULL};  // 2: as a mutex, which it is not
  block(name, wait_in_futex, &raw, RAW(&words[0], "private", 0));
}
static void futex_shared(const char* name) {
  static struct raw raw = {FUTEX_WAIT, 2, NULL, NULL};
  block(name, wait_in_futex, &raw, RAW(&words[0], "shared", 0));
}
static void futex_timeout(const char* name) {
  static struct raw raw = {FUTEX_WAIT_PRIVATE, 2, &an_hour, NULL};
  block(name, wait_in_futex, &raw, RAW(&words[0], "private", AN_HOUR));
}
static void futex_bitset(const char* name) {
  static struct raw raw = {FUTEX_WAIT_BITSET_PRIVATE, 2, NULL, NULL};
  block(name, wait_in_futex, &raw, RAW(&words[0], "private", 0));
}
static void futex_bitset_timeout(const char* name) {
  static struct timespec end;
  static struct raw raw = {FUTEX_WAIT_BITSET_PRIVATE, 2, &end, NULL};
  end = in_an_hour(CLOCK_MONOTONIC);
  block(name, wait_in_futex, &raw, RAW(&words[0], "private", AN_HOUR));
}
static void futex_requeue_pi(const char* name) {
  static struct raw raw = {FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &words[5]};
  block(name, wait_in_futex, &raw, RAW(&words[4], "private", 0));
}

// The word names the owner: the kernel demands it.
NOINLINE static void wait_in_lock_pi(void* word) {
  syscall(SYS_futex, word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  came_back(__func__);
}

static void futex_lock_pi(const char* name) {
  const pid_t owner = start_thread(rest, NULL)->tid;
  *(volatile uint32_t*)&words[8] = (uint32_t)owner;
  block(name, wait_in_lock_pi, &words[8],
        (struct wait){.kind = "lock",
                      .call = "futex",
                      .object = &words[8],
                      .size = 4,
                      .holder = owner,
                      .holder_state = "alive",
                      .scope = "private",
                      .frames = HERE(wait_in_lock_pi)});
}

// include/uapi/linux/futex.h of Linux 5.16: what older headers lack.
struct waiter {
  uint64_t value, address;
  uint32_t flags, reserved;
};
enum { kSize32 = 2, kPrivate = 128, kNoSuchCall = -1 };

NOINLINE static void wait_in_waitv(void* waiters) {
  syscall(449, waiters, 2, 0, NULL, 0);
  came_back(__func__);
}

NOINLINE static void wait_in_futex2(void* word) {
  syscall(455, word, 7UL, (unsigned long)FUTEX_BITSET_MATCH_ANY, kSize32 | kPrivate, NULL, 0);
  came_back(__func__);
}

static void futex_waitv(const char* name) {
  static struct waiter waiters[2] = {{0, 0, kSize32 | kPrivate, 0}, {0, 0, kSize32 | kPrivate, 0}};
  for (int i = 0; i < 2; ++i) waiters[i].address = (uint64_t)(uintptr_t)&words[10 + i];
  if (syscall(449, NULL, 0, 0, NULL, 0) == kNoSuchCall && errno == ENOSYS) {
    tell_skipped(name, "futex_waitv");
    return;
  }
  block(name, wait_in_waitv, waiters,
        (struct wait){.kind = "futex",
                      .call = "futex_waitv",
                      .holder_state = "none|unknown",
                      .frames = HERE(wait_in_waitv)});
}

static void futex_wait(const char* name) {
  words[12] = 7;
  if (syscall(455, NULL, 0UL, 0UL, 0, NULL, 0) == kNoSuchCall && errno == ENOSYS) {
    tell_skipped(name, "futex_wait");
    return;
  }
  block(name, wait_in_futex2, &words[12],
        (struct wait){.kind = "futex",
                      .call = "futex_wait",
                      .object = &words[12],
                      .size = 4,
                      .holder_state = "none|unknown",
                      .scope = "private",
                      .frames = HERE(wait_in_futex2)});
}

// --- time, signals, children -----------------------------------------------------------------------

#define BODY(function, call)                   \
  NOINLINE static void function(void* given) { \
    (void)given;                               \
    call;                                      \
    came_back(#function);                      \
  }
#define PLAIN(case_, function, kind_, calls, ...)                                                \
  static void case_(const char* name) {                                                          \
    block(name, function, NULL,                                                                  \
          (struct wait){.kind = kind_, .call = calls, .frames = HERE(function), ##__VA_ARGS__}); \
  }

static sigset_t signals_of(int number) {
  sigset_t set;
  sigemptyset(&set);
  if (number) sigaddset(&set, number);
  return set;
}

BODY(wait_in_nanosleep, nanosleep(&an_hour, NULL))
BODY(wait_in_clock_nanosleep, struct timespec end = in_an_hour(CLOCK_MONOTONIC);
     clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL))
BODY(wait_in_sigwait, sigset_t set = signals_of(SIGUSR2); int got; sigwait(&set, &got))
BODY(wait_in_sigtimedwait, sigset_t set = signals_of(SIGUSR2); sigtimedwait(&set, NULL, &an_hour))
BODY(wait_in_sigsuspend, sigset_t set = signals_of(0); sigsuspend(&set))
BODY(wait_in_pause, pause())

PLAIN(sleep_relative, wait_in_nanosleep, "sleep", "nanosleep|clock_nanosleep", .timeout_s = AN_HOUR)
PLAIN(sleep_absolute, wait_in_clock_nanosleep, "sleep", "clock_nanosleep", .timeout_s = AN_HOUR)
PLAIN(signal_wait, wait_in_sigwait, "signal", "rt_sigtimedwait")
PLAIN(signal_timedwait, wait_in_sigtimedwait, "signal", "rt_sigtimedwait", .timeout_s = AN_HOUR)
PLAIN(signal_suspend, wait_in_sigsuspend, "signal", "rt_sigsuspend")
PLAIN(signal_pause, wait_in_pause, "signal", kRests)

static void rest_in_child(int told) {
  close(told);
  rest_for_good();
}

NOINLINE static void wait_in_waitpid(void* child) {
  waitpid(*(pid_t*)child, NULL, 0);
  came_back(__func__);
}

NOINLINE static void wait_in_waitid(void* child) {
  siginfo_t info;
  waitid(P_PID, (id_t) * (pid_t*)child, &info, WEXITED);
  came_back(__func__);
}

// With `pid` -1 it waits for any: other cases have children too, so nobody can be named.
static void wait_for(const char* name, pid_t pid, void (*body)(void*), const char* call, const char* frames) {
  pid_t* given = (pid_t*)malloc(sizeof(*given));
  const pid_t child = child_running(rest_in_child);
  *given = pid ? pid : child;
  char text[32];
  snprintf(text, sizeof(text), "pid %d", child);
  block(name, body, given,
        (struct wait){.kind = "wait_child",
                      .call = call,
                      .object_text = pid ? NULL : text,
                      .holder = pid ? 0 : child,
                      .holder_pid = child,
                      .holder_state = pid ? "none|unknown" : NULL,
                      .frames = frames,
                      .note = pid ? "any child" : "a process"});
}

static void child_any(const char* name) {
  wait_for(name, -1, wait_in_waitpid, "wait4", HERE(wait_in_waitpid));
}
static void child_of_pid(const char* name) {
  wait_for(name, 0, wait_in_waitpid, "wait4", HERE(wait_in_waitpid));
}
static void child_by_waitid(const char* name) {
  wait_for(name, 0, wait_in_waitid, "waitid", HERE(wait_in_waitid));
}

static pid_t* vforked;

// The child runs on this thread's stack, so what is on it above is all that can be relied on.
NOINLINE static void wait_in_vfork(void* unused) {
  (void)unused;
  const pid_t parent = getpid();
  if (vfork() == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
    *vforked = getpid();
    while (1) pause();
  }
  came_back(__func__);
}

static void vfork_parent(const char* name) {
  vforked = (pid_t*)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct wait wait = {.kind = "vfork", .call = "vfork|clone", .state = "D", .note = "a process"};
  const pid_t tid = start_thread(wait_in_vfork, NULL)->tid;
  await_asleep(name, getpid(), tid, &wait);
  while (!(wait.holder = wait.holder_pid = *(volatile pid_t*)vforked)) pause_for(100000);
  tell(name, getpid(), tid, &wait);
}

static void stop_in_child(int told) {
  close(told);
  raise(SIGSTOP);
}

static void stopped(const char* name) {
  const pid_t child = child_running(stop_in_child);
  const struct wait wait = {.kind = "stopped", .state = "T"};
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

// --- System V, POSIX queues, io_uring, a page fault ------------------------------------------------

// A namespace of its own, which ends with the thread: nothing stays on the host.
static void own_ipc(void) {
  if (unshare(CLONE_NEWIPC)) die("unshare");
}

NOINLINE static void wait_in_msgrcv(void* unused) {
  (void)unused;
  own_ipc();
  struct {
    long type;
    char text[8];
  } message;
  msgrcv(msgget(IPC_PRIVATE, IPC_CREAT | 0600), &message, sizeof(message.text), 0, 0);
  came_back(__func__);
}

NOINLINE static void wait_in_semop(void* unused) {
  (void)unused;
  own_ipc();
  struct sembuf down = {0, -1, 0};
  semop(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600), &down, 1);
  came_back(__func__);
}

NOINLINE static void wait_in_mq_receive(void* unused) {
  (void)unused;
  own_ipc();
  struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
  char text[8];
  mq_receive(mq_open("/loiter", O_RDONLY | O_CREAT, 0600, &attributes), text, sizeof(text), NULL);
  came_back(__func__);
}

PLAIN(ipc_msgrcv, wait_in_msgrcv, "ipc", "msgrcv")
PLAIN(ipc_semop, wait_in_semop, "ipc", "semop|semtimedop")
PLAIN(ipc_mq_receive, wait_in_mq_receive, "ipc", "mq_timedreceive")

NOINLINE static void wait_in_io_uring(void* ring) {
  syscall(426, *(int*)ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
  came_back(__func__);
}

static void io_uring(const char* name) {
  static int ring;
  struct io_uring_params parameters;
  memset(&parameters, 0, sizeof(parameters));
  ring = (int)syscall(425, 4, &parameters);
  if (ring < 0) {
    tell_skipped(name, "io_uring_setup");
    return;
  }
  block(name, wait_in_io_uring, &ring,
        (struct wait){
            .kind = "io_uring", .call = "io_uring_enter", .fd = ring, .frames = HERE(wait_in_io_uring)});
}

NOINLINE static void wait_in_page_fault(void* page) {
  *(volatile char*)page = 1;
  came_back(__func__);
}

static void page_fault(const char* name) {
  const int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  if (file < 0 || ioctl(file, UFFDIO_API, &api)) {
    tell_skipped(name, "userfaultfd");
    return;
  }
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {.range = {(uint64_t)(uintptr_t)page, 4096},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (ioctl(file, UFFDIO_REGISTER, &range)) die("UFFDIO_REGISTER");
  block(
      name, wait_in_page_fault, page,
      (struct wait){.kind = "page_fault", .call = "none", .state = "SD", .frames = HERE(wait_in_page_fault)});
}

static const struct case_of cases[] = {
    {"cond wait", cond_wait},
    {"cond timedwait", cond_timedwait},
    {"sem wait", semaphore_wait},
    {"sem timedwait", semaphore_timedwait},
    {"sem named", semaphore_named},
    {"barrier", barrier},
    {"once", once_second},
    {"join running", join_running},
    {"join blocked", join_blocked},
    {"join timed", join_timed},
    {"futex private", futex_private},
    {"futex shared", futex_shared},
    {"futex timeout", futex_timeout},
    {"futex bitset", futex_bitset},
    {"futex bitset timeout", futex_bitset_timeout},
    {"futex requeue pi", futex_requeue_pi},
    {"futex lock pi", futex_lock_pi},
    {"futex waitv", futex_waitv},
    {"futex2 wait", futex_wait},
    {"nanosleep", sleep_relative},
    {"clock_nanosleep absolute", sleep_absolute},
    {"sigwait", signal_wait},
    {"sigtimedwait", signal_timedwait},
    {"sigsuspend", signal_suspend},
    {"pause", signal_pause},
    {"wait4 any", child_any},
    {"wait4 pid", child_of_pid},
    {"waitid", child_by_waitid},
    {"vfork parent", vfork_parent},
    {"stopped", stopped},
    {"msgrcv", ipc_msgrcv},
    {"semop", ipc_semop},
    {"mq_receive", ipc_mq_receive},
    {"io_uring", io_uring},
    {"page fault", page_fault},
};

int main(int argc, char** argv) {
  return RUN_CASES(cases, argc, argv);
}

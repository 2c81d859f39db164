// chains CASE: threads and processes that wait for each other. Told is the one chain from a first waiter to
// its root: each link, how the step to it came about, how it ends, and how many wait for that root.
//
// One case a process, so that what a fork copies of one is not in the way of the next.
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/workloads/cases.h"

struct link {
  pid_t pid, tid;
  const char* via;  // "a|b" where either is right; NULL of the first
};

static void tell_chain(const char* name, const struct link* links, size_t count, const char* end,
                       int waiters) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"chain\", \"case\": \"%s\", \"end\": \"%s\", \"waiters\": %d, \"links\": [",
         name, end, waiters);
  for (size_t i = 0; i < count; ++i) {
    add_to(&line, "%s{\"pid\": %d, \"tid\": %d", i ? ", " : "", links[i].pid, links[i].tid);
    add_text(&line, "via", links[i].via);
    add_to(&line, "}");
  }
  add_to(&line, "]}");
  tell_line(&line);
}

static void await_call(pid_t pid, pid_t tid, const char* calls) {
  const struct wait wait = {.call = calls};
  await_asleep("a link of a chain", pid, tid, &wait);
}

static void* shared_page(void) {
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) die("mmap");
  return page;
}

// Recursive: both libcs keep the owner of these.
static void make_mutex(pthread_mutex_t* mutex, int shared) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  if (shared) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(mutex, &attributes);
}

// --- threads of one process ------------------------------------------------------------------------

// Takes `own`, waits until it may go on, then does the rest.
struct member {
  pthread_mutex_t* own;
  pthread_mutex_t* wanted;  // NULL: `then` instead
  void (*then)(void);
  volatile int* go;
  volatile int has_own;
  struct start* start;
};

NOINLINE static void own_and_want(void* argument) {
  struct member* member = (struct member*)argument;
  if (member->own) pthread_mutex_lock(member->own);
  __atomic_store_n(&member->has_own, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(member->go, __ATOMIC_SEQ_CST)) pause_for(100000);
  if (!member->wanted) {
    member->then();
    return;
  }
  pthread_mutex_lock(member->wanted);
  came_back(__func__);
}

static void spin_for_good(void) {
  const struct sched_param none = {0};
  sched_setscheduler(0, SCHED_IDLE, &none);  // in nobody's way
  while (1) __asm__ volatile("");
}

static pthread_mutex_t mutexes[8];
static struct member members[16];
static volatile int go;

// Member i owns mutex i and wants mutex `wants[i]`, -1: none. All own before one wants.
static void make_members(const int* wants, const int* owns, int count, void (*then)(void)) {
  for (int i = 0; i < 8; ++i) make_mutex(&mutexes[i], 0);
  for (int i = 0; i < count; ++i) {
    members[i].own = owns[i] < 0 ? NULL : &mutexes[owns[i]];
    members[i].wanted = wants[i] < 0 ? NULL : &mutexes[wants[i]];
    members[i].then = then;
    members[i].go = &go;
    members[i].start = start_thread(own_and_want, &members[i]);
    while (!__atomic_load_n(&members[i].has_own, __ATOMIC_SEQ_CST)) pause_for(100000);
  }
  __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < count; ++i)
    if (wants[i] >= 0) await_call(getpid(), members[i].start->tid, "futex");
}

static void tell_members(const char* name, int count, const char* end, int waiters) {
  struct link links[16];
  for (int i = 0; i < count; ++i)
    links[i] = (struct link){getpid(), members[i].start->tid, i ? "lock" : NULL};
  tell_chain(name, links, (size_t)count, end, waiters);
}

static void five_to_running(const char* name) {
  make_members((int[]){0, 1, 2, 3, -1}, (int[]){-1, 0, 1, 2, 3}, 5, spin_for_good);
  tell_members(name, 5, "running", 4);
}

static void many_to_resting(const char* name) {
  make_members((int[]){0, -1, 0, 0, 0, 0, 0, 0}, (int[]){-1, 0, -1, -1, -1, -1, -1, -1}, 8, rest_for_good);
  await_resting(getpid(), members[1].start->tid);
  tell_members(name, 2, "waits", 7);
}

static void deadlock_of_two(const char* name) {
  make_members((int[]){1, 0}, (int[]){0, 1}, 2, NULL);
  tell_members(name, 2, "cycle", 2);
}

static void deadlock_of_three(const char* name) {
  make_members((int[]){1, 2, 0}, (int[]){0, 1, 2}, 3, NULL);
  tell_members(name, 3, "cycle", 3);
}

// The first is not in the circle that it waits for.
static void before_a_deadlock(const char* name) {
  make_members((int[]){0, 1, 0}, (int[]){-1, 0, 1}, 3, NULL);
  tell_members(name, 3, "cycle", 3);
}

static void deadlock_of_one(const char* name) {
  make_mutex(&mutexes[0], 0);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutex_init(&mutexes[0], &attributes);  // a normal one: does not see that it is its own
  members[0] = (struct member){.own = &mutexes[0], .wanted = &mutexes[0], .go = &go};
  go = 1;
  members[0].start = start_thread(own_and_want, &members[0]);
  await_call(getpid(), members[0].start->tid, "futex");
#ifdef __GLIBC__
  tell_members(name, 1, "cycle", 1);
#else
  tell_members(name, 1, "unknown", 0);  // a normal mutex of musl names no owner
#endif
}

NOINLINE static void wait_in_join(void* thread) {
  pthread_join(*(pthread_t*)thread, NULL);
  came_back(__func__);
}

static void rest(void* unused) {
  (void)unused;
  rest_for_good();
}

static void joins(const char* name) {
  struct start* last = start_thread(rest, NULL);
  struct start* middle = start_thread(wait_in_join, &last->thread);
  struct start* first = start_thread(wait_in_join, &middle->thread);
  await_call(getpid(), first->tid, "futex");
  await_call(getpid(), middle->tid, "futex");
  const struct link links[] = {
      {getpid(), first->tid, NULL}, {getpid(), middle->tid, "join"}, {getpid(), last->tid, "join"}};
  tell_chain(name, links, 3, "waits", 2);
}

NOINLINE static void wait_in_mutex(void* mutex) {
  pthread_mutex_lock((pthread_mutex_t*)mutex);
  came_back(__func__);
}

static void take_mutex(void* mutex) {
  pthread_mutex_lock((pthread_mutex_t*)mutex);
}

static void holder_ended(const char* name) {
  make_mutex(&mutexes[0], 0);
  struct start* owner = start_thread(take_mutex, &mutexes[0]);
  pthread_join(owner->thread, NULL);
  const pid_t tid = start_thread(wait_in_mutex, &mutexes[0])->tid;
  await_call(getpid(), tid, "futex");
  const struct link links[] = {{getpid(), tid, NULL}};
  tell_chain(name, links, 1, "holder_ended", 1);
}

// --- between processes -----------------------------------------------------------------------------

static pid_t fork_into(void (*body)(void)) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(7);
    body();
    _exit(0);
  }
  return pid;
}

static void inherited(const char* name) {
  make_mutex(&mutexes[0], 0);
  holder_of(take_mutex, &mutexes[0]);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    wait_in_mutex(&mutexes[0]);
  }
  await_call(pid, pid, "futex");
  const struct link links[] = {{pid, pid, NULL}};
  tell_chain(name, links, 1, "inherited", 1);
}

// What the processes of a case share.
static struct {
  pthread_mutex_t mutex;
  volatile int taken;
  volatile pid_t pids[4];
} * common;

static void make_common(void) {
  common = shared_page();
  make_mutex(&common->mutex, 1);
}

static void await_word(volatile int* word) {
  while (!__atomic_load_n(word, __ATOMIC_SEQ_CST)) pause_for(100000);
}

static void hold_common(void) {
  pthread_mutex_lock(&common->mutex);
  __atomic_store_n(&common->taken, 1, __ATOMIC_SEQ_CST);
  rest_for_good();
}

static void shared_mutex(const char* name) {
  make_common();
  const pid_t holder = fork_into(hold_common);
  await_word(&common->taken);
  const pid_t tid = start_thread(wait_in_mutex, &common->mutex)->tid;
  await_call(getpid(), tid, "futex");
  await_resting(holder, holder);
  const struct link links[] = {{getpid(), tid, NULL}, {holder, holder, "lock|shared memory"}};
  tell_chain(name, links, 2, "waits", 1);
}

static int ends[2];

static void keep_write_end_and_want(void) {
  close(ends[0]);
  wait_in_mutex(&common->mutex);
}

NOINLINE static void read_end(void* end) {
  char byte;
  if (read(*(int*)end, &byte, 1) >= 0) errno = 0;
  came_back(__func__);
}

static void own_and_read(void* mutex) {
  pthread_mutex_lock((pthread_mutex_t*)mutex);
  read_end(&ends[0]);
}

// A thread → a mutex → a thread that reads a pipe → the process with its other end → a mutex → its holder.
static void pipe_to_mutex(const char* name) {
  make_common();
  const pid_t holder = fork_into(hold_common);
  await_word(&common->taken);
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  const pid_t writer = fork_into(keep_write_end_and_want);
  close(ends[1]);
  make_mutex(&mutexes[0], 0);
  const pid_t reader = start_thread(own_and_read, &mutexes[0])->tid;
  await_call(getpid(), reader, "read");
  const pid_t first = start_thread(wait_in_mutex, &mutexes[0])->tid;
  await_call(getpid(), first, "futex");
  await_call(writer, writer, "futex");
  await_resting(holder, holder);
  const struct link links[] = {{getpid(), first, NULL},
                               {getpid(), reader, "lock"},
                               {writer, writer, "pipe"},
                               {holder, holder, "lock|shared memory"}};
  tell_chain(name, links, 4, "waits", 3);
}

static void keep_other_end(void) {
  close(ends[0]);
  rest_for_good();
}

static void unix_socket(const char* name) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  const pid_t other = fork_into(keep_other_end);
  close(ends[1]);
  const pid_t tid = start_thread(read_end, &ends[0])->tid;
  await_call(getpid(), tid, "read");
  await_resting(other, other);
  const struct link links[] = {{getpid(), tid, NULL}, {other, other, "socket"}};
  tell_chain(name, links, 2, "waits", 1);
}

static int locked_file(int which) {
  char path[64];
  snprintf(path, sizeof(path), "/tmp/loiter-test-chain-%d-%d", which, getpid());
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  unlink(path);
  return fd;
}

// Opened anew: a description of its own, as a lock needs it.
static int again(int fd) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return open(path, O_RDWR | O_CLOEXEC);
}

static int files[2];

static void hold_flock(void) {
  if (flock(again(files[0]), LOCK_EX)) die("flock");
  __atomic_store_n(&common->taken, 1, __ATOMIC_SEQ_CST);
  rest_for_good();
}

NOINLINE static void wait_in_flock(void* fd) {
  flock(*(int*)fd, LOCK_EX);
  came_back(__func__);
}

static void flock_of_another(const char* name) {
  make_common();
  files[0] = locked_file(0);
  const pid_t holder = fork_into(hold_flock);
  await_word(&common->taken);
  const pid_t tid = start_thread(wait_in_flock, &files[0])->tid;
  await_call(getpid(), tid, "flock");
  await_resting(holder, holder);
  const struct link links[] = {{getpid(), tid, NULL}, {holder, holder, "file_lock"}};
  tell_chain(name, links, 2, "waits", 1);
}

// The kernel looks for deadlocks of fcntl's locks, not of flock's.
static void flock_in_turn(int own, int wanted) {
  int files_of_mine[2] = {again(files[own]), again(files[wanted])};
  if (flock(files_of_mine[0], LOCK_EX)) die("flock");
  __atomic_add_fetch(&common->taken, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&common->taken, __ATOMIC_SEQ_CST) < 2) pause_for(100000);
  wait_in_flock(&files_of_mine[1]);
}
static void flock_first(void) {
  flock_in_turn(0, 1);
}
static void flock_second(void) {
  flock_in_turn(1, 0);
}

static void flock_deadlock(const char* name) {
  make_common();
  files[0] = locked_file(0);
  files[1] = locked_file(1);
  const pid_t first = fork_into(flock_first);
  const pid_t second = fork_into(flock_second);
  await_call(first, first, "flock");
  await_call(second, second, "flock");
  const struct link links[] = {{first, first, NULL}, {second, second, "file_lock"}};
  tell_chain(name, links, 2, "cycle", 2);
}

static void read_from_grandchild(void) {
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  common->pids[0] = fork_into(keep_other_end);
  close(ends[1]);
  read_end(&ends[0]);
}

NOINLINE static void wait_for_child(void* child) {
  waitpid(*(pid_t*)child, NULL, 0);
  came_back(__func__);
}

static void child_to_pipe(const char* name) {
  make_common();
  static pid_t child;
  child = fork_into(read_from_grandchild);
  const pid_t tid = start_thread(wait_for_child, &child)->tid;
  await_call(getpid(), tid, "wait4");
  await_call(child, child, "read");
  const pid_t last = common->pids[0];
  await_resting(last, last);
  const struct link links[] = {{getpid(), tid, NULL}, {child, child, "wait_child"}, {last, last, "pipe"}};
  tell_chain(name, links, 3, "waits", 2);
}

// Nobody holds what it waits for: it is the root itself, and nobody waits for that.
static void alone(const char* name) {
  const pid_t tid = start_thread(rest, NULL)->tid;
  await_resting(getpid(), tid);
  const struct link links[] = {{getpid(), tid, NULL}};
  tell_chain(name, links, 1, "waits", 0);
}

static const struct case_of cases[] = {
    {"five to running", five_to_running},
    {"many to resting", many_to_resting},
    {"deadlock of one", deadlock_of_one},
    {"deadlock of two", deadlock_of_two},
    {"deadlock of three", deadlock_of_three},
    {"before a deadlock", before_a_deadlock},
    {"joins", joins},
    {"holder ended", holder_ended},
    {"inherited", inherited},
    {"shared mutex", shared_mutex},
    {"pipe to mutex", pipe_to_mutex},
    {"unix socket", unix_socket},
    {"flock", flock_of_another},
    {"flock deadlock", flock_deadlock},
    {"child to pipe", child_to_pipe},
    {"alone", alone},
};

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: chains CASE\n");
    return 2;
  }
  return RUN_CASES(cases, argc, argv);
}

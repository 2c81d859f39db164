// pthreads CASE: threads that end in every way: joined, detached, and never joined. Told are the numbers that
// must be found, {"fact": "counts", …}. Commands: "more N": N threads more end unjoined; "join": all of these
// are joined; "stop": those that come and go come no more.
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/workloads/cases.h"

enum { kStack = 128 * 1024, kMost = 1024 };

static pthread_t more[kMost];
static int more_count;

// The routines that the threads are counted by; each of its own code.
NOINLINE static void* first_routine(void* argument) {
  __asm__ volatile("# first" ::: "memory");
  return argument;
}

NOINLINE static void* second_routine(void* argument) {
  __asm__ volatile("# second" ::: "memory");
  return argument;
}

NOINLINE static void* latecomer(void* argument) {
  __asm__ volatile("# late" ::: "memory");
  return argument;
}

NOINLINE static void* resting_routine(void* argument) {
  (void)argument;
  while (1) pause();
  return NULL;
}

NOINLINE static void* detaches_itself(void* argument) {
  pthread_detach(pthread_self());
  return argument;
}

NOINLINE static void detaches_and_rests(void* argument) {
  (void)argument;
  pthread_detach(pthread_self());
  rest_for_good();
}

static pthread_t make(void* (*routine)(void*), void* argument, int detached, void* stack) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  if (stack)
    pthread_attr_setstack(&attributes, stack, kStack);
  else
    pthread_attr_setstacksize(&attributes, kStack);
  if (detached) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if ((errno = pthread_create(&thread, &attributes, routine, argument))) die("pthread_create");
  pthread_attr_destroy(&attributes);
  return thread;
}

static size_t threads_there(void) {
  char text[4096];
  read_proc(getpid(), getpid(), "status", text, sizeof(text));
  const char* at = strstr(text, "\nThreads:");
  return at ? strtoul(at + 9, NULL, 10) : 0;
}

// Until so many live, the main thread among them.
static void await_threads(size_t count) {
  for (int tries = 0; threads_there() != count; ++tries) {
    if (tries == 60000) die("threads that do not end");
    pause_for(500000);
  }
}

struct counts {
  int unjoined, detached, joining, live, first, second;
};

static void tell_counts(struct counts counts) {
  struct line line = {"", 0};
  add_to(&line,
         "{\"fact\": \"counts\", \"libc\": \"%s\", \"pid\": %d, \"unjoined\": %d, \"detached\": %d, "
         "\"joining\": %d, \"live\": %d, \"first\": %d, \"second\": %d, \"stack\": %d}",
         LIBC, getpid(), counts.unjoined, counts.detached, counts.joining, counts.live, counts.first,
         counts.second, kStack);
  tell_line(&line);
}

NOINLINE static void joins_another(void* other) {
  pthread_join(*(pthread_t*)other, NULL);
  came_back("pthread_join");
}

// 500 of 800 are never joined.
static struct counts make_mix(void) {
  for (int i = 0; i < 300; ++i) make(first_routine, NULL, 0, NULL);
  for (int i = 0; i < 200; ++i) make(second_routine, NULL, 0, NULL);
  for (int i = 0; i < 150; ++i) pthread_join(make(first_routine, NULL, 0, NULL), NULL);
  for (int i = 0; i < 100; ++i) make(second_routine, NULL, 1, NULL);
  for (int i = 0; i < 30; ++i) make(resting_routine, NULL, 1, NULL);
  for (int i = 0; i < 18; ++i) make(resting_routine, NULL, 0, NULL);
  static pthread_t joined;
  joined = make(resting_routine, NULL, 0, NULL);
  struct wait wait;
  memset(&wait, 0, sizeof(wait));
  wait.call = "futex";
  await_asleep("the joiner", getpid(), start_thread(joins_another, &joined)->tid, &wait);
  await_threads(1 + 30 + 18 + 2);
  return (struct counts){500, 30, 1, 1 + 18 + 1, 300, 200};
}

static void mix(const char* name) {
  (void)name;
  tell_counts(make_mix());
}

static void user_stacks(const char* name) {
  (void)name;
  for (int i = 0; i < 3; ++i) {
    void* stack = mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) die("mmap");
    make(first_routine, NULL, 0, stack);
  }
  await_threads(1);
  tell_counts((struct counts){3, 0, 0, 1, 3, 0});
}

static void self_detach(const char* name) {
  (void)name;
  for (int i = 0; i < 20; ++i) make(detaches_itself, NULL, 0, NULL);
  for (int i = 0; i < 2; ++i) await_resting(getpid(), start_thread(detaches_and_rests, NULL)->tid);
  await_threads(3);
  tell_counts((struct counts){0, 2, 0, 1, 0, 0});
}

static void quiet(const char* name) {
  (void)name;
  for (int i = 0; i < 100; ++i) pthread_join(make(first_routine, NULL, 0, NULL), NULL);
  for (int i = 0; i < 4; ++i) make(resting_routine, NULL, 0, NULL);
  await_threads(5);
  tell_counts((struct counts){0, 0, 0, 5, 0, 0});
}

static void in_child(int told) {
  if (write(told, "x", 1) != 1) _exit(9);
  rest_for_good();
}

// All threads but the one that forks are gone in the child, and with them what is to be joined.
static void forked(const char* name) {
  (void)name;
  make_mix();
  const pid_t child = child_running(in_child);
  await_resting(child, child);
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"child\", \"pid\": %d}", child);
  tell_line(&line);
}

static void zombies(const char* name) {
  (void)name;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) _exit(0);
    siginfo_t info;
    if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT)) die("waitid");
    struct line line = {"", 0};
    add_to(&line, "{\"fact\": \"zombie\", \"pid\": %d}", child);
    tell_line(&line);
  }
}

// --- churn: threads come and go while somebody looks ----------------------------------------------

static volatile int stop_churn;

// Joined, but never found ended and not yet waited for: it ends only when its creator sleeps in the join, at
// a futex in its own descriptor.
NOINLINE static void* awaits_its_joiner(void* creator) {
  const unsigned long descriptor = (unsigned long)pthread_self();
  for (unsigned long at = 0; at - descriptor >= 4096;) {
    char text[256];
    sched_yield();
    read_proc(getpid(), (pid_t)(long)creator, "syscall", text, sizeof(text));
    if (!is_asleep(getpid(), (pid_t)(long)creator, "futex", NULL) || sscanf(text, "%*d %lx", &at) != 1)
      at = 0;
  }
  return NULL;
}

NOINLINE static void* churns_joined(void* argument) {
  (void)argument;
  while (!stop_churn) pthread_join(make(awaits_its_joiner, (void*)(long)thread_id(), 0, NULL), NULL);
  return NULL;
}

NOINLINE static void* churns_detached(void* argument) {
  (void)argument;
  while (!stop_churn) {
    make(second_routine, NULL, 1, NULL);
    pause_for(100000);
  }
  return NULL;
}

static void churn(const char* name) {
  for (int i = 0; i < 100; ++i) make(first_routine, NULL, 0, NULL);
  await_threads(1);
  if (!strcmp(name, "churn")) make(churns_joined, NULL, 1, NULL);
  make(churns_detached, NULL, 1, NULL);
  make(churns_detached, NULL, 1, NULL);
  tell_counts((struct counts){100, 0, 0, 0, 100, 0});
}

// --- a list that lies ------------------------------------------------------------------------------

// The links of a descriptor are found by the thread's own address in the lists: those of its neighbours point
// at them. A ring within the list is made; it never comes back to the head.
static void lying(const char* name) {
  (void)name;
#ifdef __GLIBC__
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = make(resting_routine, NULL, 0, NULL);
  await_threads(5);
  enum { kWords = 256 };
  for (size_t at = 0; at + 1 < kWords; ++at) {
    // The field of the second points at the same field of the first, made before it, and that one back.
    uintptr_t* newer = (uintptr_t*)threads[2] + at;
    uintptr_t* older = (uintptr_t*)threads[1] + at;
    if (newer[0] != (uintptr_t)older || older[1] != (uintptr_t)newer) continue;
    older[0] = (uintptr_t)newer;
    tell_counts((struct counts){0, 0, 0, 0, 0, 0});
    return;
  }
#endif
  die("no links found");
}

static const struct case_of cases[] = {
    {"mix", mix},
    {"user stacks", user_stacks},
    {"self detach", self_detach},
    {"quiet", quiet},
    {"forked", forked},
    {"zombies", zombies},
    {"churn", churn},
    {"churn of detached ones", churn},
    {"lying", lying},
};

static void command(const char* line) {
  if (!strncmp(line, "more ", 5)) {
    const int count = atoi(line + 5);
    const size_t before = threads_there();
    for (int i = 0; i < count && more_count < kMost; ++i) more[more_count++] = make(latecomer, NULL, 0, NULL);
    await_threads(before);
  } else if (!strcmp(line, "join")) {
    while (more_count > 0) pthread_join(more[--more_count], NULL);
  } else if (!strcmp(line, "stop")) {
    stop_churn = 1;
    await_threads(1);
  } else {
    die(line);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: pthreads CASE\n");
    return 2;
  }
  make_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
  tell_word("ready");
  char line[64];
  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    command(line);
    tell_word("done");
  }
  _exit(0);
}

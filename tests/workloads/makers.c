// makers: makes threads on command, at places that are known function by function. Each is told as
// {"fact": "made", "case", "tid", "creator", "frames"}: the functions that stand on its creator's stack, the
// innermost first.
// Commands: "deep", "chain", "large", "raw", "secret SEED", "many N" (they stay), "storm N" (made and joined
// one after another), "short N" (likewise, at another place), "two" (one each of two places), "lasting MS"
// (it lives for so long: {"fact": "lasted", "at_least", "at_most"} in ns).
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>

#include "tests/workloads/cases.h"

static void made(const char* name, pid_t tid, pid_t creator, const char* frames) {
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"made\", \"case\": \"%s\", \"tid\": %d, \"creator\": %d", name, tid, creator);
  add_text(&line, "frames", frames);
  add_to(&line, "}");
  tell_line(&line);
}

// --- at depth 20 -----------------------------------------------------------------------------------

static volatile int unknown = 1;  // to whoever optimises

static pid_t made_tid;

NOINLINE static void make_one(void) {
  made_tid = start_thread((void (*)(void*))rest_for_good, NULL)->tid;
}

// Frames of different sizes.
#define DEEPER(name, next, bytes)       \
  NOINLINE static int name(int depth) { \
    volatile char local[bytes];         \
    local[0] = (char)depth;             \
    next;                               \
    __asm__ volatile("" ::: "memory");  \
    return local[0] + depth;            \
  }

DEEPER(deep_20, make_one(), 8)
DEEPER(deep_19, deep_20(depth + 1), 16)
DEEPER(deep_18, deep_19(depth + 1), 24)
DEEPER(deep_17, deep_18(depth + 1), 40)
DEEPER(deep_16, deep_17(depth + 1), 8)
DEEPER(deep_15, deep_16(depth + 1), 64)
DEEPER(deep_14, deep_15(depth + 1), 72)
DEEPER(deep_13, deep_14(depth + 1), 8)
DEEPER(deep_12, deep_13(depth + 1), 100)
DEEPER(deep_11, deep_12(depth + 1), 8)
DEEPER(deep_10, deep_11(depth + 1), 200)
DEEPER(deep_9, deep_10(depth + 1), 8)
DEEPER(deep_8, deep_9(depth + 1), 16)
DEEPER(deep_7, deep_8(depth + 1), 8)
DEEPER(deep_6, deep_7(depth + 1), 32)
DEEPER(deep_5, deep_6(depth + 1), 8)
DEEPER(deep_4, deep_5(depth + 1), 8)
DEEPER(deep_3, deep_4(depth + 1), 56)
DEEPER(deep_2, deep_3(depth + 1), 8)
DEEPER(deep_1, deep_2(depth + 1), 8)

#define DEEP_FRAMES                                                                           \
  "make_one deep_20 deep_19 deep_18 deep_17 deep_16 deep_15 deep_14 deep_13 deep_12 deep_11 " \
  "deep_10 deep_9 deep_8 deep_7 deep_6 deep_5 deep_4 deep_3 deep_2 deep_1"

static void make_deep(void) {
  deep_1(unknown);
  made("deep", made_tid, thread_id(), DEEP_FRAMES " main");
}

// More on the stack than is taken of it: who called this cannot be known.
NOINLINE static void make_large(void) {
  volatile char local[16 * 1024];
  for (size_t i = 0; i < sizeof(local); ++i) local[i] = (char)unknown;
  make_one();
  if (local[1] != (char)unknown) die("the array");
  made("large", made_tid, thread_id(), "make_one make_large");
}

// --- threads made by threads -------------------------------------------------------------------------

static volatile int chain_ready;

NOINLINE static void third_of_chain(void* argument) {
  (void)argument;
  rest_for_good();
}

NOINLINE static void second_of_chain(void* argument) {
  (void)argument;
  const pid_t tid = start_thread(third_of_chain, NULL)->tid;
  made("chain of 3", tid, thread_id(), "second_of_chain thread_of_case");
  __atomic_store_n(&chain_ready, 1, __ATOMIC_SEQ_CST);
  rest_for_good();
}

NOINLINE static void first_of_chain(void* argument) {
  (void)argument;
  const pid_t tid = start_thread(second_of_chain, NULL)->tid;
  made("chain of 2", tid, thread_id(), "first_of_chain thread_of_case");
  rest_for_good();
}

NOINLINE static void make_chain(void) {
  chain_ready = 0;
  const pid_t tid = start_thread(first_of_chain, NULL)->tid;
  made("chain of 1", tid, thread_id(), "make_chain main");
  while (!__atomic_load_n(&chain_ready, __ATOMIC_SEQ_CST)) pause_for(100000);
}

// --- without a libc ----------------------------------------------------------------------------------

#if defined(__x86_64__)
enum { kRawStack = 64 * 1024, kClone3 = 435, kPause = 34 };

// Its thread pointer is its creator's: nothing of libc may be called.
static void rest_without_libc(void) {
  while (1) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)kPause) : "rcx", "r11", "memory");
  }
}

NOINLINE static long raw_clone3(struct clone_args* args, void (*body)(void)) {
  long result;
  register void (*function)(void) __asm__("r8") = body;
  __asm__ volatile("syscall\n test %%rax, %%rax\n jnz 1f\n xor %%ebp, %%ebp\n call *%%r8\n hlt\n 1:"
                   : "=a"(result)
                   : "0"((long)kClone3), "D"(args), "S"(sizeof(*args)), "r"(function)
                   : "rcx", "r11", "memory");
  return result;
}

NOINLINE static void make_raw(void) {
  char* stack = (char*)mmap(NULL, kRawStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) die("mmap");
  struct clone_args args;
  memset(&args, 0, sizeof(args));
  args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  args.stack = (unsigned long)stack;
  args.stack_size = kRawStack;
  const long tid = raw_clone3(&args, rest_without_libc);
  if (tid < 0) die("clone3");
  made("raw", (pid_t)tid, thread_id(), "raw_clone3 make_raw main");
}
#else
static void make_raw(void) {
  errno = ENOSYS;
  tell_skipped("raw", "only written for x86-64");
}
#endif

// --- what must not be kept ---------------------------------------------------------------------------

// The same as in the test, which looks for it.
static unsigned long next_of(unsigned long* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

NOINLINE static void make_with_secret(unsigned long seed) {
  volatile unsigned long secret[64];
  for (int i = 0; i < 64; ++i) secret[i] = next_of(&seed);
  seed = 0;  // else the last of it might be in a register too
  make_one();
  if (secret[63] == 0) die("the secret");  // so it stood there all the while
  for (int i = 0; i < 64; ++i) secret[i] = 0;
  made("secret", made_tid, thread_id(), "make_one make_with_secret main");
}

// --- many --------------------------------------------------------------------------------------------

static void* end_at_once(void* argument) {
  return argument;
}

static pthread_t small_thread(void* (*body)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_t thread;
  if ((errno = pthread_create(&thread, &attributes, body, argument))) die("pthread_create");
  pthread_attr_destroy(&attributes);
  return thread;
}

NOINLINE static void make_storm(int count) {
  for (int i = 0; i < count; ++i) pthread_join(small_thread(end_at_once, NULL), NULL);
}

NOINLINE static void make_short(int count) {
  for (int i = 0; i < count; ++i) pthread_join(small_thread(end_at_once, NULL), NULL);
  __asm__ volatile("" ::: "memory");
}

static void* stay(void* argument) {
  rest_for_good();
  return argument;
}

NOINLINE static void make_many(int count) {
  for (int i = 0; i < count; ++i) small_thread(stay, NULL);
}

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

static volatile pid_t lasting_tid;

static void* last(void* ns) {
  lasting_tid = thread_id();
  pause_for((long)ns);
  return NULL;
}

// It is not joined before the kernel has no such thread any more: its end has been told by then.
NOINLINE static void make_lasting(long ns) {
  const long begin = now_ns();
  const pthread_t thread = small_thread(last, (void*)ns);
  pause_for(ns);
  while (!lasting_tid || syscall(SYS_tgkill, getpid(), lasting_tid, 0) == 0) pause_for(100000);
  const long at_most = now_ns() - begin;
  lasting_tid = 0;
  pthread_join(thread, NULL);
  struct line line = {"", 0};
  add_to(&line, "{\"fact\": \"lasted\", \"at_least\": %ld, \"at_most\": %ld}", ns, at_most);
  tell_line(&line);
}

NOINLINE static void place_one(void) {
  make_one();
  made("one", made_tid, thread_id(), "make_one place_one main");
}

NOINLINE static void place_two(void) {
  make_one();
  made("two", made_tid, thread_id(), "make_one place_two main");
}

static void command(const char* line) {
  const char* space = strchr(line, ' ');
  const unsigned long number = space ? strtoul(space + 1, NULL, 10) : 0;
  if (!strcmp(line, "deep")) make_deep();
  if (!strcmp(line, "chain")) make_chain();
  if (!strcmp(line, "large")) make_large();
  if (!strcmp(line, "raw")) make_raw();
  if (!strncmp(line, "secret ", 7)) make_with_secret(number);
  if (!strncmp(line, "storm ", 6)) make_storm((int)number);
  if (!strncmp(line, "short ", 6)) make_short((int)number);
  if (!strncmp(line, "many ", 5)) make_many((int)number);
  if (!strncmp(line, "lasting ", 8)) make_lasting((long)number * 1000000);
  if (!strcmp(line, "two")) {
    place_one();
    place_two();
  }
}

int main(void) {
  tell_word("ready");
  char line[256];
  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    command(line);
    tell_word("done");
  }
  _exit(0);  // the threads need no leave
}

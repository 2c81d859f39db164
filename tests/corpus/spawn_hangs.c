// posix_spawn() with its child's stdin from a FIFO that nobody opens for writing: the child, made by vfork,
// hangs before it executes anything, and with it the thread that spawns. Healthy: the FIFO has a writer.
#include <spawn.h>

#include "tests/corpus/corpus.h"

static int fifo;

NOINLINE static void spawn_filter(void) {
  char path[64];
  char* const arguments[] = {(char*)"true", NULL};
  char* const environment[] = {NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fifo);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0);
  pid_t pid;
  if ((errno = posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, environment))) die("posix_spawn");
  waitpid(pid, NULL, 0);
  posix_spawn_file_actions_destroy(&actions);
}

// What hangs in the FIFO dies with nobody: when we have ended, however that was, this lets it go, and ends.
static void guard_fifo(pid_t parent) {
  sigset_t set;
  int number;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (prctl(PR_SET_PDEATHSIG, SIGTERM)) _exit(7);
  if (getppid() == parent) sigwait(&set, &number);
  const int fd = open_anew(fifo, O_RDWR);
  nap(20);
  close(fd);
  _exit(0);
}

THREAD(run_spawner) {
  enter("spawner");
  for (;; nap(SLOW_BEAT_MS)) spawn_filter();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  fifo = nameless(1);
  if (!faulty) open_anew(fifo, O_RDWR);
  const pid_t self = getpid();
  if (fork() == 0) guard_fifo(self);
  start(run_spawner, NULL);
  const pid_t spawner = tid_of("spawner");
  // The spawning thread is in vfork, in no state to be asked for its call: its child tells.
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/children", spawner);
  int pid = 0;
  for (int tries = 0; faulty && !pid && tries < 60000; ++tries, nap(1)) {
    FILE* children = fopen(path, "r");
    if (!children) die(path);
    if (fscanf(children, "%d", &pid) != 1) pid = 0;
    fclose(children);
  }
  if (faulty) {
    await_asleep(pid, pid, SYS_openat);
    add_culprit(spawner);
    add_culprit(pid);
    tell_pids(&pid, 1);
  }
  live();
}

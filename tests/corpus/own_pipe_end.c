// A process starts a child that writes to a pipe, and reads until the end of it; but it has the writing end
// open itself, so the end never comes. Healthy: it closes its own.
#include "tests/corpus/corpus.h"

static int report[2];
static volatile int* is_written;

static void run_reporter(void) {
  if (write(report[1], "done", 4) != 4) die("write");
}

NOINLINE static void collect_report(void) {
  make_pipe(report);
  const pid_t child = fork_child("reporter", run_reporter);
  if (!faulty) close(report[1]);
  char text[64];
  waitpid(child, NULL, 0);
  while (read(report[0], text, sizeof(text)) > 0) set_word(is_written);
  close(report[0]);
}

static void run_collector(void) {
  for (;; nap(SLOW_BEAT_MS)) collect_report();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  is_written = (volatile int*)shared_memory(4096);
  const pid_t pid = fork_child("collector", run_collector);
  await_word(is_written);
  child_is_in(pid, SYS_read);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

// A thread holds the lock of a FILE while it reads from it, and nothing comes; others want to read there too.
// Healthy: lines come.
#include "tests/corpus/corpus.h"

static FILE* input;
static int feed[2];
static volatile int is_reading;

NOINLINE static void read_command(void) {
  char line[64];
  flockfile(input);
  set_word(&is_reading);
  if (!fgets(line, sizeof(line), input)) die("fgets");
  funlockfile(input);
}

static void* run_shell(void* name) {
  enter((const char*)name);
  if (!strcmp((const char*)name, "shell-2")) await_word(&is_reading);
  for (;; nap(BEAT_MS)) read_command();
  return NULL;
}

THREAD(run_feed) {
  enter("command-feed");
  if (faulty) rest_for_good();
  for (;; nap(SLOW_BEAT_MS))
    if (write(feed[1], "go\n", 3) != 3) die("write");
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_pipe(feed);
  input = fdopen(feed[0], "r");
  start(run_shell, (void*)"shell-1");
  start(run_shell, (void*)"shell-2");
  start(run_feed, NULL);
  culprit("shell-1", SYS_read);
  bystander("shell-2", SYS_futex);
  live();
}

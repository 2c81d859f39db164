// A logger writes to a full pipe while it holds a lock; the thread that is to empty the pipe wants that lock
// first. Healthy: it empties the pipe without it.
#include "tests/corpus/corpus.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_pipe[2];
static volatile int is_full;

NOINLINE static void write_log(void) {
  static char line[4096];
  pthread_mutex_lock(&log_lock);
  for (int i = 0; i < 17; ++i) {
    if (i == 16) set_word(&is_full);
    if (write(log_pipe[1], line, sizeof(line)) < 0) die("write");
  }
  pthread_mutex_unlock(&log_lock);
}

NOINLINE static void rotate_log(void) {
  pthread_mutex_lock(&log_lock);
  pthread_mutex_unlock(&log_lock);
}

NOINLINE static void empty_pipe(void) {
  char text[4096];
  if (faulty) rotate_log();
  if (read(log_pipe[0], text, sizeof(text)) < 0) die("read");
}

THREAD(run_logger) {
  enter("logger");
  for (;; nap(BEAT_MS)) write_log();
  return NULL;
}

THREAD(run_drain) {
  enter("log-drain");
  if (faulty) await_word(&is_full);
  for (;;) empty_pipe();
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_pipe(log_pipe);
  start(run_logger, NULL);
  start(run_drain, NULL);
  culprit("logger", SYS_write);
  bystander("log-drain", SYS_futex);
  live();
}

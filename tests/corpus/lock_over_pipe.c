// A thread reads from a pipe while it holds a mutex; who is to write there, another thread of the program,
// sleeps for an hour. Three more wait for the mutex. Healthy: something comes ten times a second.
#include "tests/corpus/corpus.h"

static pthread_mutex_t sample_lock = PTHREAD_MUTEX_INITIALIZER;
static int samples[2];
static volatile int is_held;

NOINLINE static void read_sample(void) {
  char sample;
  pthread_mutex_lock(&sample_lock);
  set_word(&is_held);
  if (read(samples[0], &sample, 1) < 0) die("read");
  pthread_mutex_unlock(&sample_lock);
}

NOINLINE static void average_samples(void) {
  pthread_mutex_lock(&sample_lock);
  pthread_mutex_unlock(&sample_lock);
}

THREAD(run_sampler) {
  enter("sampler");
  for (;; nap(BEAT_MS)) read_sample();
  return NULL;
}

static void* run_averager(void* name) {
  enter((const char*)name);
  await_word(&is_held);
  for (;; nap(BEAT_MS)) average_samples();
  return NULL;
}

THREAD(run_probe) {
  enter("probe");
  for (;; nap(faulty ? AN_HOUR_MS : SLOW_BEAT_MS))
    if (!faulty && write(samples[1], "s", 1) != 1) die("write");
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_pipe(samples);
  start(run_sampler, NULL);
  start(run_probe, NULL);
  start(run_averager, (void*)"averager-1");
  start(run_averager, (void*)"averager-2");
  start(run_averager, (void*)"averager-3");
  culprit("sampler", SYS_read);
  bystander("averager-1", SYS_futex);
  bystander("averager-2", SYS_futex);
  bystander("averager-3", SYS_futex);
  live();
}

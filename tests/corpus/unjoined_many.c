// Five hundred threads that ended, joinable, and nobody joins them. Healthy: each is joined.
#include "tests/corpus/corpus.h"

THREAD(compress_block) {
  enter("compressor");
  return NULL;
}

static volatile int is_done;

NOINLINE static void compress_file(void) {
  for (int i = 0; i < 500; ++i) {
    const pthread_t thread = start(compress_block, NULL);
    if (!faulty) pthread_join(thread, NULL);
  }
}

THREAD(run_archiver) {
  enter("archiver");
  compress_file();
  set_word(&is_done);
  rest_for_good();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_archiver, NULL);
  await_word(&is_done);
  await_thread_count(2);
  live();
}

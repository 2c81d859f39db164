// Now and then a thread is made, does its work and ends, joinable, and nobody joins it. Healthy: it is
// detached.
#include "tests/corpus/corpus.h"

THREAD(refresh_certificate) {
  enter("cert-refresher");
  nap(1);
  return NULL;
}

NOINLINE static void refresh_in_background(void) {
  const pthread_t thread = start(refresh_certificate, NULL);
  if (!faulty) pthread_detach(thread);
}

THREAD(run_keeper) {
  enter("cert-keeper");
  for (int i = 0; i < 300; ++i, nap(scale_ms / 5)) refresh_in_background();
  rest_for_good();
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(run_keeper, NULL);
  live();
}

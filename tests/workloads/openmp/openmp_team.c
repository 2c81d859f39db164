// A team of three threads of OpenMP, made by the first parallel region; they live to the end. Its own one, if
// asked for, does as well.
#include <omp.h>
#include <pthread.h>
#include <unistd.h>

static void* rest(void* argument) {
  for (;;) pause();
  return argument;
}

int main(int argc, char** argv) {
  (void)argv;
  int sum = 0;
#pragma omp parallel num_threads(3) reduction(+ : sum)
  sum += omp_get_thread_num();
  pthread_t thread;
  if (argc > 1 && pthread_create(&thread, NULL, rest, NULL)) return 9;
  return sum == 3 ? 0 : 8;
}

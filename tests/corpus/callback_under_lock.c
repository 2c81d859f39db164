// A subject calls its observers while it holds its lock, and an observer unsubscribes from there. Healthy:
// the mutex is recursive.
#include "tests/corpus/corpus.h"

static pthread_mutex_t subject_lock;
static void (*observers[4])(void);

NOINLINE static void unsubscribe(int which) {
  pthread_mutex_lock(&subject_lock);
  observers[which] = NULL;
  pthread_mutex_unlock(&subject_lock);
}

NOINLINE static void on_change(void) {
  unsubscribe(0);
}

NOINLINE static void notify_all(void) {
  pthread_mutex_lock(&subject_lock);
  for (int i = 0; i < 4; ++i)
    if (observers[i]) observers[i]();
  pthread_mutex_unlock(&subject_lock);
}

THREAD(publish) {
  enter("subject");
  for (;; nap(BEAT_MS)) {
    observers[0] = on_change;
    notify_all();
  }
  return NULL;
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_mutex(&subject_lock, faulty ? PTHREAD_MUTEX_NORMAL : PTHREAD_MUTEX_RECURSIVE, 0);
  start(publish, NULL);
  culprit("subject", SYS_futex);
  live();
}

// A thread asks a helper process over a local socket while it holds a mutex, and no answer comes: the helper
// sleeps. Healthy: the helper answers.
#include <sys/socket.h>

#include "tests/corpus/corpus.h"

static pthread_mutex_t helper_lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2];
static volatile int is_held;

NOINLINE static void ask_helper(void) {
  char answer;
  pthread_mutex_lock(&helper_lock);
  set_word(&is_held);
  if (send(ends[0], "?", 1, 0) != 1 || recv(ends[0], &answer, 1, 0) < 0) die("ask");
  pthread_mutex_unlock(&helper_lock);
}

THREAD(run_resolver) {
  enter("resolver");
  for (;; nap(BEAT_MS)) ask_helper();
  return NULL;
}

static void* run_client(void* name) {
  enter((const char*)name);
  await_word(&is_held);
  for (;; nap(BEAT_MS)) ask_helper();
  return NULL;
}

NOINLINE static void answer_questions(void) {
  char question;
  close(ends[0]);
  while (recv(ends[1], &question, 1, 0) == 1) {
    nap(faulty ? AN_HOUR_MS : 1);
    if (send(ends[1], "!", 1, 0) != 1) die("send");
  }
}

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  const pid_t pid = fork_child("dns-helper", answer_questions);
  close(ends[1]);
  start(run_resolver, NULL);
  await_word(&is_held);
  start(run_client, (void*)"client-1");
  start(run_client, (void*)"client-2");
  culprit("resolver", SYS_recvfrom);
  bystander("client-1", SYS_futex);
  bystander("client-2", SYS_futex);
  child_is_in(pid, SYS_clock_nanosleep);
  add_culprit(pid);
  tell_pids(&pid, 1);
  live();
}

// A reader of a std::shared_mutex sleeps in read() with the lock in its hand, for good, and a writer waits
// behind it; such locks keep no names of readers. Healthy: what is read comes.
#include <mutex>
#include <shared_mutex>

#include "tests/corpus/corpus.h"

namespace {

std::shared_mutex routes_lock;
int feed[2];
volatile int is_reading;

NOINLINE void read_feed() {
  std::shared_lock<std::shared_mutex> lock(routes_lock);
  set_word(&is_reading);
  char byte;
  if (read(feed[0], &byte, 1) < 0) die("read");
}

NOINLINE void store_route() {
  std::unique_lock<std::shared_mutex> lock(routes_lock);
}

void* run_reader(void*) {
  enter("route-reader");
  for (;; nap(BEAT_MS)) read_feed();
}

void* run_writer(void*) {
  enter("route-writer");
  await_word(&is_reading);
  for (;; nap(BEAT_MS)) store_route();
}

void* feed_routes(void*) {
  enter("route-feed");
  if (faulty) rest_for_good();
  for (;; nap(SLOW_BEAT_MS))
    if (write(feed[1], "r", 1) != 1) die("write");
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  make_pipe(feed);
  start(run_reader, nullptr);
  start(run_writer, nullptr);
  start(feed_routes, nullptr);
  culprit("route-writer", SYS_futex);
  bystander("route-reader", SYS_read);
  live();
}

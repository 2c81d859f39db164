// unreadable: a thread whose time limit lies in memory that nobody can read any more: a page that userfaultfd
// would have to fill, and does not. Whoever reads it hangs until it is killed.
#include <linux/userfaultfd.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

int main() {
  constexpr size_t kPage = 4096;
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) die("mmap");
  auto* length = static_cast<timespec*>(page);
  *length = {3600, 0};
  sem_t told;
  sem_init(&told, 0, 0);
  start_thread([length, &told] {
    fact(R"({"fact": "thread", "tid": %d})", thread_id());
    sem_post(&told);
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, length, nullptr);
  });
  while (sem_wait(&told)) {
  }
  // The kernel has taken a copy of the time once the thread sleeps: the test awaits that, then says so.
  return serve([&](const std::string&) {
    int fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
    if (fd < 0) die("userfaultfd");
    uffdio_api api{};
    api.api = UFFD_API;
    if (ioctl(fd, UFFDIO_API, &api)) die("UFFDIO_API");
    uffdio_register range{};
    range.range = {reinterpret_cast<uint64_t>(page), kPage};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (ioctl(fd, UFFDIO_REGISTER, &range)) die("UFFDIO_REGISTER");
    if (madvise(page, kPage, MADV_DONTNEED)) die("madvise");
    fact(R"({"fact": "gone"})");
  });
}

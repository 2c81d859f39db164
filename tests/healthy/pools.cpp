// A server with two pools: 64 workers that wait for work which seldom comes, and one that grows with its load
// and shrinks when there is none, as cached pools do. Usage: pools SOCKET
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Task = std::function<void()>;

class FixedPool {
 public:
  explicit FixedPool(size_t workers) {
    for (size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  void submit(Task task) {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    wake_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return !tasks_.empty(); });
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::vector<std::thread> workers_;
};

// A worker that has had nothing to do for a while ends; the next one to end joins it.
class ElasticPool {
 public:
  void submit(Task task) {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (idle_ >= tasks_.size() || workers_.size() >= kMost) {
      wake_.notify_one();
      return;
    }
    const auto at = workers_.emplace(workers_.end());
    *at = std::thread([this, at] { work(at); });
  }

 private:
  static constexpr size_t kMost = 48;
  static constexpr auto kKeptIdle = std::chrono::seconds(2);
  using Workers = std::list<std::thread>;

  void work(Workers::iterator self) {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      const bool came = wake_.wait_for(lock, kKeptIdle, [&] { return !tasks_.empty(); });
      --idle_;
      if (!came) break;
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
    std::thread before = std::exchange(left_, std::move(*self));
    workers_.erase(self);
    lock.unlock();
    if (before.joinable()) before.join();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  Workers workers_;
  std::thread left_;
  size_t idle_ = 0;
};

std::mutex count_mutex;
unsigned long count;

void serve(int client, FixedPool& fixed) {
  char request[256];
  while (read(client, request, sizeof(request)) > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // as if it asked a database
    fixed.submit([] {
      std::lock_guard lock(count_mutex);
      for (int i = 0; i < 1000; ++i) ++count;
    });
    if (write(client, "done\n", 5) != 5) break;
  }
  close(client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) ||
      listen(listener, 64)) {
    perror(argv[1]);
    return 1;
  }
  FixedPool fixed(64);
  ElasticPool elastic;
  for (;;) {
    const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) elastic.submit([client, &fixed] { serve(client, fixed); });
  }
}

// A thread that works on a disk, which may hang: what it shares with its owner, and how it is ended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace loiter {

// Held by both, since the thread may outlive its owner. The members are guarded by `mutex`.
struct DiskThread {
  mutable std::mutex mutex;
  std::condition_variable wake, ended;
  bool stopping = false;   // set by the owner
  bool has_ended = false;  // by the thread, at its end

  // Called by the thread, with `mutex` held: the last that it does.
  void note_end() {
    has_ended = true;
    ended.notify_all();
  }

  // Called by the owner. False: the thread hangs, and is left to its disk.
  bool stop(std::thread& thread, std::chrono::seconds patience) {
    if (!thread.joinable()) return true;
    std::unique_lock lock(mutex);
    stopping = true;
    wake.notify_all();
    if (!ended.wait_for(lock, patience, [this] { return has_ended; })) {
      thread.detach();
      return false;
    }
    lock.unlock();
    thread.join();
    return true;
  }
};

}  // namespace loiter

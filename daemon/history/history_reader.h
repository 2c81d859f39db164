// Answers what is asked of the history, on a thread of its own: each answer from a connection of its own,
// which holds up no writer, and bounded in time and size.
//
// submit(), stop() and status() may come from any thread; `done` is called on the reader's thread, or on the
// caller's where it is refused.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "daemon/history/types.h"

namespace loiter {

// Reads what is kept in `dir`. `alone`: nobody writes it, as far as is known, and nothing must be written
// beside it. Never throws: the answer says what went wrong.
HistoryAnswer read_history(const std::string& dir, bool alone, const HistoryQuery& query, uint64_t now_ns);

class HistoryReader {
 public:
  using Done = std::function<void(HistoryAnswerPtr)>;

  // `alone`: as above, of a private daemon.
  HistoryReader(std::string dir, bool alone);
  ~HistoryReader() { stop(); }

  void start();
  // None calls back after this, but for one that hangs for longer than some seconds.
  void stop();
  void submit(const HistoryQuery& query, Done done);

 private:
  struct Shared;  // outlives this where the thread hangs
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace loiter

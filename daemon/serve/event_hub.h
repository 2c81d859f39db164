// The stream of lifecycle events and findings: to whoever listens, without ever waiting for them.
//
// The collector's and the judge's threads push, the API's thread reads; all functions are thread-safe. Lines
// are kept only while somebody listens, and no more than kMaxLines: a reader that falls further behind loses
// the oldest, and is told how many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/base/clock.h"
#include "daemon/detect/finding_book.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/event_reader.h"
#include "daemon/sensors/pthread_probes.h"

namespace loiter {

// What a listener wants to hear of.
struct StreamWish {
  std::optional<uint32_t> pid = {};  // only what concerns this process
  bool pthreads = false;             // calls of thread libraries too
  bool findings = false;             // findings too
};

class EventHub {
 public:
  static constexpr size_t kMaxLines = 16'384;
  static constexpr size_t kMaxReaders = 64;

  // One listener. Created and read by the API's thread.
  class Reader {
   public:
    // Takes text, up to `size` bytes of whole or begun lines; 0: nothing there now.
    size_t take(char* to, size_t size);
    // Adds a whole line of its own, ahead of those that it has not begun with.
    void add_line(const std::string& line);
    // Whether there are lines that it has not looked at.
    bool ready() const;

   private:
    friend class EventHub;
    EventHub* hub_ = nullptr;
    StreamWish wish_;
    uint64_t next_ = 0;
    uint64_t start_boot_ns_ = 0;
    std::string pending_;  // the rest of a line begun
    std::function<void()> wake_;
    std::list<Reader*>::iterator place_;
  };

  // A new listener; null: there are too many. `wake` is called, from the threads that push, when there may be
  // something to take; it must not call back into the hub. Events from before `now_boot_ns` are not for it:
  // the ring may bring them later.
  std::unique_ptr<Reader> open(const StreamWish& wish, uint64_t now_boot_ns, std::function<void()> wake);
  void close(Reader& reader);
  size_t reader_count() const;

  // The line that tells of a finding: `change` is "current", "raised", "updated" or "resolved".
  static std::string finding_line(const char* change, const KeptFinding& kept, const Snapshot& snapshot);

  // One event that the model has completed. `old_name` as HostModel::apply gives it.
  void push(const Event& event, const std::string& old_name, const WallClock& wall);
  // What came of placing probes for whoever listens to the calls of a process. Wakes the readers.
  void push_probes(const ProbeNote& note, const WallClock& wall);
  void push_finding(const char* change, const KeptFinding& kept, const Snapshot& snapshot);
  // `count` events were lost on the way, by `cause`.
  void push_lost(uint64_t count, const std::string& cause, const WallClock& wall);
  // Wakes the readers; once after a batch.
  void flush();

 private:
  struct Line {
    uint32_t pid = 0;
    uint32_t creator_pid = 0;  // a birth concerns both; 0: concerns all
    uint64_t boot_ns = 0;
    enum class Only : uint8_t {
      everybody,
      pthreads,
      findings
    } only = Only::everybody;  // who asked for those
    std::string text;
  };
  void append(Line line);
  bool next_line(Reader& reader, std::string& text);

  mutable std::mutex mutex_;
  std::deque<Line> lines_;
  uint64_t first_ = 0;  // number of lines_.front()
  std::list<Reader*> readers_;
};

}  // namespace loiter

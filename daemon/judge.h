// Judges the host after each census: chooses what has to be looked into, has it looked at, runs the
// detectors, keeps the findings, and tells of those that come and go.
//
// Has a thread of its own, since looks take their time; where that takes longer than a census interval, the
// newest picture is judged next. on_picture(), request(), set_config() and stop() may come from any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/config.h"
#include "daemon/detect/exhaustion.h"
#include "daemon/detect/finding_book.h"
#include "daemon/detect/history.h"
#include "daemon/detect/sieve.h"
#include "daemon/detect/suspects.h"
#include "daemon/detect/thresholds.h"
#include "daemon/detect/turn_watch.h"
#include "daemon/detect/verdicts.h"
#include "daemon/history/recorder.h"
#include "daemon/inspect/inspector.h"
#include "daemon/model/unjoined_book.h"
#include "daemon/model/waits.h"
#include "daemon/sensors/limits.h"
#include "daemon/serve/event_hub.h"
#include "daemon/serve/picture.h"
#include "daemon/unjoined_watch.h"

namespace loiter {

class Judge {
 public:
  struct Parts {
    const Board& board;
    VerdictBoard& verdicts;
    EventHub& hub;
    std::function<void(const InspectRequest&, Inspector::Done)> inspect;  // thread-safe
    ConfigPtr config;                                                     // until set_config()
    uint64_t interval_ns = 0;                                             // between two censuses
    bool is_private = false;       // of one user: judges when he asks, and leaves the telling to him
    Recorder* recorder = nullptr;  // null: no history is written
  };
  explicit Judge(Parts parts)
      : parts_(std::move(parts)),
        history_(parts_.config->thresholds, parts_.interval_ns),
        next_config_(parts_.config),
        resting_(parts_.is_private) {}
  ~Judge() { stop(); }

  // Makes the thread. `published` is called on it after each verdict.
  void start(std::function<void()> published);

  // A picture was published.
  void on_picture();
  // Somebody waits for the verdict on a picture taken since `mono_ns`: it puts nothing off. 0: nobody waits.
  // From the first request on, each picture is judged.
  void request(uint64_t mono_ns);
  // Thresholds and rules, from the next pass on.
  void set_config(ConfigPtr config);
  // Waits for a look that is under way; none is begun any more.
  void stop();

 private:
  void run();
  void await_history();
  void restore();
  void judge(const Picture& picture, bool asked);
  size_t look_at_suspects(const Snapshot& snapshot, bool asked);
  size_t look_for_unjoined(const Picture& picture, bool asked);
  KnownLimits read_limits(const HostCase& host);
  std::deque<SnapshotPtr> take_passed();
  std::vector<Finding> detect(const Snapshot& snapshot);
  InspectAnswerPtr look(const InspectRequest& request);
  std::vector<NotJudged> not_judged(const Snapshot& snapshot, size_t left, size_t unlisted) const;
  void add_stacks(Finding& finding);
  void sift(std::vector<Finding>& found, const Snapshot& snapshot);
  void tell(const FindingBook::Changes& changes, const Snapshot& snapshot);

  Parts parts_;
  std::function<void()> published_;
  Waits waits_;
  History history_;
  TurnWatch turns_;
  UnjoinedBook unjoined_;
  UnjoinedWatch unjoined_watch_;
  LimitReader limits_;
  FindingBook book_;
  Sieve sieve_;
  ConfigPtr config_;       // of the pass under way
  Thresholds thresholds_;  // of the detectors: as low as a rule may have them
  JudgingCost cost_;
  bool restored_ = false;                               // what the history had
  uint64_t first_mono_ns_ = 0;                          // since when the host is judged; 0: it is not
  std::unordered_map<uint32_t, uint64_t> looked_pass_;  // by pid: when it was looked into last

  std::mutex mutex_;
  std::condition_variable wake_;
  // Snapshots that the history has not been told of: those taken while looks went on, too.
  std::deque<SnapshotPtr> passed_;
  ConfigPtr next_config_;
  bool wanted_ = false;         // a picture has come, or a request
  uint64_t asked_mono_ns_ = 0;  // of the last request that is not answered; 0: none
  bool stopping_ = false;
  bool resting_;  // nobody has asked yet
  std::thread thread_;
};

}  // namespace loiter

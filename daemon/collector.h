// The daemon's heart: drains events, takes censuses, keeps the model, and publishes what came out.
//
// Runs on the thread that runs the event loop; only request_census() may come from another one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/fd.h"
#include "daemon/base/result.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/model/host_model.h"
#include "daemon/model/pthread_book.h"
#include "daemon/options.h"
#include "daemon/pthread_watch.h"
#include "daemon/sensors/census_reader.h"
#include "daemon/sensors/event_reader.h"
#include "daemon/serve/event_hub.h"
#include "daemon/serve/picture.h"

namespace loiter {

// Who unwinds the stacks of creators (the inspector). Both may be called from any thread.
struct OriginWork {
  std::function<void(const std::vector<BirthSlice>&)> add;
  std::function<std::vector<FoundOrigin>()> take;
};

class Collector {
 public:
  // Opens the sensors: events are attached before this returns, so that nothing falls between them and the
  // first census.
  static Result<std::unique_ptr<Collector>> open(const DaemonOptions& options, Board& board, EventHub& hub,
                                                 PthreadWatch& watch);

  // Hooks itself into `loop` and takes the first census. `published` is called after each picture.
  Status start(EventLoop& loop, std::shared_ptr<DaemonFacts> facts, OriginWork origins,
               std::function<void()> published);

  // Thread-safe: a census soon, though not sooner than kMinGapNs after the last one.
  void request_census();

  // What the pictures say of the daemon, from the next one on.
  void change_facts(const std::function<void(DaemonFacts&)>& change);

  bool uses_btf() const { return events_->uses_btf(); }
  const std::shared_ptr<Slices>& slices() const { return events_->slices(); }

 private:
  struct ToldLoss {
    uint64_t streamed = 0;
    uint64_t logged = 0;
    uint64_t logged_mono_ns = 0;
  };
  Collector(const DaemonOptions& options, Board& board, EventHub& hub, PthreadWatch& watch);
  void on_drain_timer();
  void on_census_due();
  void on_request();
  void drain();
  void follow_watch();
  void apply(std::vector<Event>& events);
  void take_census();
  Status take_pass(CensusReader::Depth depth);
  CensusReader::Depth next_depth();
  std::vector<LossCount> count_losses(const Snapshot& snapshot);
  void tell_losses(const std::vector<LossCount>& losses);

  DaemonOptions options_;
  Board& board_;
  EventHub& hub_;
  PthreadWatch& watch_;
  HostModel model_;
  PthreadBook pthreads_;
  std::unique_ptr<EventReader> events_;
  std::unique_ptr<CensusReader> census_reader_;
  std::shared_ptr<DaemonFacts> facts_;
  OriginWork origins_;
  std::function<void()> published_;

  Timer drain_timer_;
  Timer census_timer_;
  Timer request_timer_;
  Fd request_fd_;
  Census census_;
  std::vector<Event> batch_;
  std::vector<Event> held_;                      // that happened while the rings were emptied
  std::map<std::string, ToldLoss> told_losses_;  // by cause
  CensusCost cost_;
  uint64_t events_lost_ = 0;  // when the last census began
  int full_passes_ = 0;       // to come, whatever else is known
  WallClock wall_;
  uint64_t last_begin_mono_ns_ = 0;
};

}  // namespace loiter

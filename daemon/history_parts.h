// The parts of the history that this daemon has by its options: who writes it, and who reads it.
//
// Owned by main, which starts and stops them; what they give away may be called from any thread until then.
#pragma once

#include <functional>
#include <memory>

#include "daemon/history/history_reader.h"
#include "daemon/history/history_writer.h"
#include "daemon/history/recorder.h"
#include "daemon/options.h"

namespace loiter {

class HistoryParts {
 public:
  // A private daemon writes none, and reads what a service that does not run any more has left.
  HistoryParts(const DaemonOptions& options, bool is_private);

  void start();
  // Before whoever is called back by an answer goes.
  void stop_reading();
  // After the last who records.
  void stop_writing();

  Recorder* recorder() { return recorder_.get(); }  // null: none is written
  HistoryStatus status() const;
  // Empty: there is none.
  std::function<void(const HistoryQuery&, HistoryReader::Done)> ask();

 private:
  std::unique_ptr<HistoryWriter> writer_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<HistoryReader> reader_;
  HistoryStatus unwritten_;  // where none is written
};

}  // namespace loiter

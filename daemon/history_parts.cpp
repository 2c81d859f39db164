#include "daemon/history_parts.h"

namespace loiter {

HistoryParts::HistoryParts(const DaemonOptions& options, bool is_private) {
  unwritten_.dir = options.state_dir;
  if (options.history_keep_ns == 0) return;
  reader_ = std::make_unique<HistoryReader>(options.state_dir, is_private);
  unwritten_.state = HistoryStatus::State::reading;
  if (is_private) return;
  writer_ = std::make_unique<HistoryWriter>(
      HistoryOptions{options.state_dir, options.history_keep_ns, options.history_bytes});
  recorder_ = std::make_unique<Recorder>(*writer_, options.history_interval_ns);
}

void HistoryParts::start() {
  if (writer_) writer_->start();
  if (reader_) reader_->start();
}

void HistoryParts::stop_reading() {
  if (reader_) reader_->stop();
}

void HistoryParts::stop_writing() {
  if (writer_) writer_->stop();
}

HistoryStatus HistoryParts::status() const {
  return writer_ ? writer_->status() : unwritten_;
}

std::function<void(const HistoryQuery&, HistoryReader::Done)> HistoryParts::ask() {
  if (!reader_) return {};
  return [this](const HistoryQuery& query, HistoryReader::Done done) {
    reader_->submit(query, std::move(done));
  };
}

}  // namespace loiter

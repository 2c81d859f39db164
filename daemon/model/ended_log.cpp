#include "daemon/model/ended_log.h"

#include <utility>

namespace loiter {

void EndedLog::add(const EndedThread& thread) {
  if (max_threads_ == 0) return;
  while (threads_.size() >= max_threads_) drop_oldest(true);
  index_[thread.key] = first_sequence_ + threads_.size();
  threads_.push_back(thread);
}

void EndedLog::add_process(ProcessView process) {
  while (!processes_.empty() && processes_.size() >= max_threads_) drop_oldest_process();
  process.threads.clear();
  if (max_threads_ > 0) processes_.push_back(std::move(process));
}

EndedThread* EndedLog::find(const TaskKey& key) {
  auto found = index_.find(key);
  return found == index_.end() ? nullptr : &threads_[found->second - first_sequence_];
}

bool EndedLog::remove(const TaskKey& key) {
  EndedThread* thread = find(key);
  if (!thread) return false;
  index_.erase(key);
  thread->key.tid = 0;
  return true;
}

void EndedLog::drop_oldest(bool early) {
  const EndedThread& oldest = threads_.front();
  if (oldest.key.tid != 0) {
    index_.erase(oldest.key);
    if (early) {
      ++dropped_total_;
      TaskKey process{oldest.tgid, oldest.process_start_boot_ns};
      if (dropped_.size() < 2 * max_threads_ || dropped_.contains(process)) ++dropped_[process];
    }
  }
  threads_.pop_front();
  ++first_sequence_;
}

void EndedLog::expire(uint64_t boot_ns) {
  uint64_t before = boot_ns > keep_ns_ ? boot_ns - keep_ns_ : 0;
  while (!threads_.empty() && threads_.front().ended_boot_ns < before) drop_oldest(false);
  while (!processes_.empty() && *processes_.front().ended_boot_ns < before) drop_oldest_process();
}

void EndedLog::drop_oldest_process() {
  dropped_.erase(processes_.front().key);
  processes_.pop_front();
}

void EndedLog::copy_to(Snapshot& snapshot) const {
  snapshot.ended.reserve(threads_.size());
  for (const EndedThread& thread : threads_)
    if (thread.key.tid != 0) snapshot.ended.push_back(thread);
  snapshot.ended_processes.assign(processes_.begin(), processes_.end());
  for (ProcessView& process : snapshot.ended_processes) process.ended_dropped = dropped_of(process.key);
  snapshot.ended_dropped = dropped_total_;
}

uint64_t EndedLog::dropped_of(const TaskKey& process) const {
  auto found = dropped_.find(process);
  return found == dropped_.end() ? 0 : found->second;
}

}  // namespace loiter

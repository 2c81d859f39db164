#include "daemon/history/count_sampler.h"

#include <algorithm>
#include <utility>

namespace loiter {
namespace {

constexpr uint32_t kHandful = 4;
constexpr size_t kMostShortLived = 256;  // of those that came and went in one period
constexpr uint64_t kTellAnewNs = 6 * 3'600'000'000'000;

std::string text_of(const Comm& comm) {
  return std::string(comm.view());
}

}  // namespace

void CountSampler::look(const ProcessView& view, uint64_t pass) {
  const auto live = static_cast<uint32_t>(view.threads.size());
  auto [entry, added] = processes_.try_emplace(view.key);
  Process& process = entry->second;
  if (added) process.least = process.most = live;
  process.pass = pass;
  process.live = live;
  process.least = std::min(process.least, live);
  process.most = std::max(process.most, live);
  if (!view.origins) return;
  process.births = view.origins->births;
  process.ends = view.origins->ends;
}

bool CountSampler::is_worth_telling(const Process& process, bool ended, uint64_t now) const {
  if (!process.told_live) return process.most > (ended ? kHandful : 1);
  return ended || process.least != *process.told_live || process.most != *process.told_live ||
         process.births != process.told_births || process.ends != process.told_ends ||
         now - process.told_boot_ns >= kTellAnewNs;
}

CountRow CountSampler::row_of(const ProcessView& view, Process& process, bool ended, uint64_t now) const {
  CountRow row{.process = view.key,
               .comm = text_of(view.comm),
               .exe = view.exe,
               .cgroup = view.cgroup,
               .live = ended ? 0 : process.live,
               .least = process.least,
               .most = process.most,
               .births = process.births - std::min(process.births, process.told_births),
               .ends = process.ends - std::min(process.ends, process.told_ends),
               .process_ended = ended};
  for (const ThreadView& thread : view.threads)
    row.longest_ns = std::max(row.longest_ns, thread.blocked_ns.value_or(0));
  process.told_live = process.live;
  process.told_births = process.births;
  process.told_ends = process.ends;
  process.told_boot_ns = now;
  return row;
}

CountBatch CountSampler::end_period(const Snapshot& snapshot) {
  const uint64_t now = snapshot.begin_boot_ns;
  CountBatch batch{.end_boot_ns = now, .length_ns = now - begin_boot_ns_, .wall = snapshot.wall};
  for (const ProcessView& view : snapshot.processes) {
    Process& process = processes_[view.key];
    if (is_worth_telling(process, false, now)) batch.rows.push_back(row_of(view, process, false, now));
    process.least = process.most = process.live;
  }
  size_t short_lived = 0;
  for (const ProcessView& view : snapshot.ended_processes) {
    auto gone = processes_.find(view.key);
    if (gone == processes_.end() || gone->second.pass == snapshot.pass) continue;
    Process& process = gone->second;
    if (!process.told_live && ++short_lived > kMostShortLived) continue;
    if (is_worth_telling(process, true, now)) batch.rows.push_back(row_of(view, process, true, now));
  }
  std::erase_if(processes_, [&](const auto& entry) { return entry.second.pass != snapshot.pass; });
  return batch;
}

std::optional<CountBatch> CountSampler::add(const Snapshot& snapshot) {
  for (const ProcessView& view : snapshot.processes) look(view, snapshot.pass);
  if (begin_boot_ns_ == 0) begin_boot_ns_ = snapshot.begin_boot_ns;
  if (!std::exchange(is_first_, false) && snapshot.begin_boot_ns < begin_boot_ns_ + period_ns_)
    return std::nullopt;
  CountBatch batch = end_period(snapshot);
  begin_boot_ns_ = snapshot.begin_boot_ns;
  return batch;
}

void CountSampler::tell_anew() {
  for (auto& [key, process] : processes_) process.told_live.reset();
}

}  // namespace loiter

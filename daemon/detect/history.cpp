#include "daemon/detect/history.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/model/syscalls.h"

namespace loiter {
namespace {

// What a thread may do that ticks: of the time, of wakings a second, and how much they may differ.
constexpr uint64_t kCpuShare = 200;
constexpr uint64_t kWakingsPerSecond = 4;
constexpr uint64_t kSecondNs = 1'000'000'000;

bool sleeps_like_a_timer(const ThreadView& thread) {
  if (thread.state != TaskState::sleeping || thread.syscall < 0) return false;
  const std::string& name = syscall_name(thread.syscall, thread.compat);
  return name.starts_with("futex") || name.starts_with("nanosleep") || name.starts_with("clock_nanosleep") ||
         name == "restart_syscall";
}

// Was blocked in all of a window that ends now: that is known without having been there.
bool was_dormant(const ThreadView& thread, uint64_t window_ns) {
  return thread.blocked_ns.value_or(0) >= window_ns;
}

uint64_t switches_of(const ThreadView& thread) {
  return thread.voluntary_switches + thread.involuntary_switches;
}

// The next one of this thread's windows has ended.
void advance(TickSample& sample, const ThreadView& thread, uint64_t window_ns) {
  const uint64_t ran = switches_of(thread) - std::min(switches_of(thread), sample.switches);
  const uint64_t cpu = thread.cpu_ns - std::min(thread.cpu_ns, sample.cpu_ns);
  const uint64_t before = sample.switches_in_window;
  sample.judged = sample.windows >= 2;
  const uint64_t differ = std::max(ran, before) - std::min(ran, before);
  sample.ticks = sample.judged && sleeps_like_a_timer(thread) && cpu <= window_ns / kCpuShare &&
                 ran <= kWakingsPerSecond * window_ns / kSecondNs &&
                 differ <= std::max<uint64_t>(2, std::max(ran, before) / 4);
  sample.switches_in_window = ran;
  sample.switches = switches_of(thread);
  sample.cpu_ns = thread.cpu_ns;
  ++sample.windows;
}

uint64_t live_without_leader(const ProcessView& process) {
  return process.threads.empty() ? 0 : process.threads.size() - 1;
}

}  // namespace

const CohortHistory* ProcessHistory::find(uint32_t site) const {
  auto found =
      std::lower_bound(cohorts.begin(), cohorts.end(), site,
                       [](const CohortHistory& cohort, uint32_t wanted) { return cohort.site < wanted; });
  return found != cohorts.end() && found->site == site ? &*found : nullptr;
}

History::History(const Thresholds& thresholds, uint64_t census_interval_ns)
    : thresholds_(thresholds),
      interval_ns_(census_interval_ns),
      rules_(GrowthRules::of(thresholds, census_interval_ns)),
      runs_(census_interval_ns) {}

void History::set_thresholds(const Thresholds& thresholds) {
  const GrowthRules rules = GrowthRules::of(thresholds, interval_ns_);
  thresholds_ = thresholds;
  const bool same = rules.window_ns == rules_.window_ns;
  rules_ = rules;
  if (same) return;
  processes_.clear();
  cgroups_.clear();
  users_.clear();
  host_ = {};
  sample_count_ = 0;
  group_window_begin_ns_ = 0;
}

// Too long nobody counted: what came and went meanwhile is not known.
bool History::has_gap(const Snapshot& snapshot) const {
  return pass_ && snapshot.begin_mono_ns - mono_ns_ > std::max(rules_.window_ns / 2, 2 * interval_ns_);
}

void History::add(const Snapshot& snapshot) {
  if (pass_ && snapshot.begin_mono_ns <= mono_ns_) return;
  gap_ = has_gap(snapshot);
  ++pass_;
  mono_ns_ = snapshot.begin_mono_ns;
  left_out_ = 0;
  runs_.begin(snapshot);
  for (const ProcessView& process : snapshot.processes) {
    if (process.ended_boot_ns) continue;
    for (const ThreadView& thread : process.threads)
      if (RunWatch::wants_cpu(thread)) runs_.see(thread);
    add_process(process, snapshot);
  }
  runs_.finish();
  std::erase_if(processes_, [&](const auto& entry) {
    if (entry.second->pass == pass_) return false;
    sample_count_ -= entry.second->samples.size();
    return true;
  });
  add_groups(snapshot);
}

void History::add_process(const ProcessView& process, const Snapshot& snapshot) {
  auto found = processes_.find(process.key.tid);
  if (found == processes_.end()) {
    if (processes_.size() >= kMostProcesses) {
      ++left_out_;
      return;
    }
    found = processes_.emplace(process.key.tid, std::make_unique<ProcessHistory>()).first;
  }
  ProcessHistory& history = *found->second;
  if (history.key != process.key || gap_) {
    if (history.key != process.key) {
      sample_count_ -= history.samples.size();
      history = {};
    }
    history.key = process.key;
    history.window_begin_mono_ns = mono_ns_;
  }
  history.pass = pass_;
  const uint64_t leader = process.threads.empty() ? 0 : 1;
  const ProcessOrigins* origins = process.origins.get();
  history.total.sample(process.threads.size(), origins ? leader + origins->births : leader,
                       origins ? origins->ends : 0);
  if (origins || process.threads.size() > 1 || !history.cohorts.empty()) add_cohorts(history, process);
  if (gap_) {
    history.total.reopen();
    for (CohortHistory& cohort : history.cohorts) cohort.growth.reopen();
  }
  if (mono_ns_ - history.window_begin_mono_ns >= rules_.window_ns) close_process(history, process, snapshot);
}

// Both lists are ordered by site.
void History::add_cohorts(ProcessHistory& history, const ProcessView& process) {
  static const std::vector<CreationSite> kNone;
  const std::vector<CreationSite>& sites = process.origins ? process.origins->sites : kNone;
  if (history.cohorts.empty()) history.cohorts.emplace_back();
  std::vector<CohortHistory>& cohorts = history.cohorts;
  int64_t live = static_cast<int64_t>(live_without_leader(process));
  int64_t births = process.origins ? static_cast<int64_t>(process.origins->births) : 0;
  int64_t ends = process.origins ? static_cast<int64_t>(process.origins->ends) : 0;
  size_t at = 1;
  for (const CreationSite& site : sites) {
    live -= static_cast<int64_t>(site.live());
    births -= static_cast<int64_t>(site.births);
    ends -= static_cast<int64_t>(site.ended);
    while (at < cohorts.size() && cohorts[at].site < site.id)  // that one was forgotten
      cohorts.erase(cohorts.begin() + static_cast<std::ptrdiff_t>(at));
    if (at == cohorts.size() || cohorts[at].site != site.id) {
      if (cohorts.size() >= kMostCohorts) {
        ++left_out_;
        continue;
      }
      cohorts.insert(cohorts.begin() + static_cast<std::ptrdiff_t>(at), {.site = site.id, .growth = {}});
    }
    cohorts[at++].growth.sample(site.live(), site.births, site.ended);
  }
  cohorts.resize(std::min(at, cohorts.size()));
  cohorts.front().growth.sample(static_cast<uint64_t>(std::max<int64_t>(0, live)),
                                static_cast<uint64_t>(std::max<int64_t>(0, births)),
                                static_cast<uint64_t>(std::max<int64_t>(0, ends)));
}

void History::close_process(ProcessHistory& history, const ProcessView& process, const Snapshot& snapshot) {
  history.window_begin_mono_ns = mono_ns_;
  sample_count_ -= history.samples.size();
  const size_t count = history.cohorts.size();
  std::vector<uint64_t> dormant(count), others(count);
  uint64_t dormant_total = 0;
  const auto index_of = [&](uint32_t site) {
    const CohortHistory* cohort = history.find(site);
    return cohort ? static_cast<size_t>(cohort - history.cohorts.data()) : size_t{0};
  };
  if (count > 0) judge_ticks(history, process);
  for (const ThreadView& thread : process.threads) {
    const bool is_dormant = was_dormant(thread, rules_.window_ns);
    dormant_total += is_dormant;
    if (thread.key != process.key && count > 0) ++(is_dormant ? dormant : others)[index_of(thread.site)];
  }
  std::vector<uint64_t> judged(count), ticking(count);
  for (const TickSample& sample : history.samples) {
    judged[index_of(sample.site)] += sample.judged;
    ticking[index_of(sample.site)] += sample.ticks;
  }
  uint64_t resting_total = dormant_total;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t ticks = judged[i] ? others[i] * ticking[i] / judged[i] : 0;
    resting_total += ticks;
    history.cohorts[i].growth.close(rules_, dormant[i] + ticks, mono_ns_, snapshot.begin_boot_ns);
  }
  history.total.close(rules_, resting_total, mono_ns_, snapshot.begin_boot_ns);
  sample_ticks(history, process);
  sample_count_ += history.samples.size();
}

// What became of the samples in this window; those that ended, or whose cohort grows no more, go.
void History::judge_ticks(ProcessHistory& history, const ProcessView& process) const {
  if (history.samples.empty()) return;
  std::unordered_map<uint32_t, TickSample*> by_tid;
  for (TickSample& sample : history.samples) by_tid.emplace(sample.key.tid, &sample);
  for (const ThreadView& thread : process.threads) {
    auto found = by_tid.find(thread.key.tid);
    if (found == by_tid.end() || found->second->key != thread.key) continue;
    TickSample& sample = *found->second;
    if (was_dormant(thread, rules_.window_ns)) continue;  // counted already; goes with those that ended
    sample.site = thread.site;
    advance(sample, thread, rules_.window_ns);
    by_tid.erase(found);
  }
  for (const auto& [tid, sample] : by_tid) sample->key = {};
  std::erase_if(history.samples, [](const TickSample& sample) { return sample.key.tid == 0; });
}

// Of cohorts that grew in the window that just ended: the youngest threads of each that still move.
void History::sample_ticks(ProcessHistory& history, const ProcessView& process) const {
  std::vector<TickSample>& samples = history.samples;
  std::erase_if(samples, [&](const TickSample& sample) {
    const CohortHistory* cohort = history.find(sample.site);
    return !cohort || !cohort->growth.rose();
  });
  std::map<uint32_t, size_t> room;
  for (const CohortHistory& cohort : history.cohorts)
    if (cohort.growth.rose()) room.emplace(cohort.site, kSamplesOfCohort);
  if (room.empty()) return;
  std::set<uint32_t> known;
  for (const TickSample& sample : samples) {
    known.insert(sample.key.tid);
    if (size_t& left = room[sample.site]; left > 0) --left;
  }
  for (auto thread = process.threads.rbegin(); thread != process.threads.rend(); ++thread) {
    if (sample_count_ + samples.size() >= kMostSamples) return;
    auto left = room.find(thread->site);
    if (left == room.end() || left->second == 0 || thread->key == process.key ||
        was_dormant(*thread, rules_.window_ns) || known.contains(thread->key.tid))
      continue;
    --left->second;
    samples.push_back({.key = thread->key,
                       .site = thread->site,
                       .switches = switches_of(*thread),
                       .cpu_ns = thread->cpu_ns,
                       .windows = 1});
  }
}

History::Group* History::group_of(const std::string& path) {
  if (auto found = cgroups_.find(path); found != cgroups_.end()) return &found->second;
  if (path.empty() || cgroups_.size() >= kMostGroups) return nullptr;
  const size_t slash = path.size() > 1 ? path.rfind('/') : std::string::npos;
  Group* parent = slash == std::string::npos ? nullptr : group_of(slash == 0 ? "/" : path.substr(0, slash));
  Group& made = cgroups_[path];
  made.parent = parent;
  return &made;
}

void History::add_groups(const Snapshot& snapshot) {
  for (auto& [path, group] : cgroups_) group.live = 0;
  for (auto& [uid, group] : users_) group.live = 0;
  for (const ProcessView& process : snapshot.processes) {
    if (process.ended_boot_ns) continue;
    Group* group = group_of(process.cgroup);
    if (!group && !process.cgroup.empty()) ++left_out_;
    for (; group; group = group->parent) {
      group->live += process.threads.size();
      group->pass = pass_;
    }
    if (!users_.contains(process.uid) && users_.size() >= kMostGroups) continue;
    Group& user = users_[process.uid];
    user.live += process.threads.size();
    user.pass = pass_;
  }
  const bool closes =
      !gap_ && group_window_begin_ns_ && mono_ns_ - group_window_begin_ns_ >= rules_.window_ns;
  const auto feed = [&](Growth& growth, uint64_t live) {
    growth.sample(live, 0, 0);
    if (gap_) growth.reopen();
    if (closes) growth.close(rules_, 0, mono_ns_, snapshot.begin_boot_ns);
  };
  for (auto& [path, group] : cgroups_) feed(group.growth, group.live);
  for (auto& [uid, group] : users_) feed(group.growth, group.live);
  feed(host_, snapshot.thread_count);
  if (closes || gap_ || !group_window_begin_ns_) group_window_begin_ns_ = mono_ns_;
  if (!closes) return;
  // Nobody was in it for a window. One above another has all that the other has.
  std::erase_if(cgroups_, [&](const auto& entry) { return entry.second.pass != pass_; });
  std::erase_if(users_, [&](const auto& entry) { return entry.second.pass != pass_; });
}

const ProcessHistory* History::find(const TaskKey& process) const {
  auto found = processes_.find(process.tid);
  return found != processes_.end() && found->second->key == process ? found->second.get() : nullptr;
}

const Growth* History::of_cgroup(const std::string& path) const {
  auto found = cgroups_.find(path);
  return found == cgroups_.end() ? nullptr : &found->second.growth;
}

const Growth* History::of_user(uint32_t uid) const {
  auto found = users_.find(uid);
  return found == users_.end() ? nullptr : &found->second.growth;
}

bool History::is_growing(const Growth& growth) const {
  return growth.leak() != Growth::Leak::none || growth.per_minute() > 0 ||
         growth.now() >= growth.lowest() + rules_.least;
}

std::vector<TaskKey> History::growing(const Snapshot& snapshot, size_t most) const {
  std::vector<std::pair<uint64_t, TaskKey>> found;
  std::map<std::string, std::pair<uint64_t, TaskKey>> greatest_of_cgroup;
  std::map<uint32_t, std::pair<uint64_t, TaskKey>> greatest_of_user;
  const auto note = [](auto& greatest, const auto& whose, uint64_t threads, const TaskKey& key) {
    auto [entry, added] = greatest.try_emplace(whose, threads, key);
    if (!added && entry->second.first < threads) entry->second = {threads, key};
  };
  for (const ProcessView& process : snapshot.processes) {
    const ProcessHistory* history = process.ended_boot_ns ? nullptr : find(process.key);
    if (!history) continue;
    const uint64_t threads = process.threads.size();
    if (is_growing(history->total)) {
      found.emplace_back(threads, process.key);
      continue;
    }
    const Growth* cgroup = of_cgroup(process.cgroup);
    if (cgroup && is_growing(*cgroup)) note(greatest_of_cgroup, process.cgroup, threads, process.key);
    const Growth* user = of_user(process.uid);
    if (user && is_growing(*user)) note(greatest_of_user, process.uid, threads, process.key);
  }
  for (const auto& [path, greatest] : greatest_of_cgroup) found.push_back(greatest);
  for (const auto& [uid, greatest] : greatest_of_user) found.push_back(greatest);
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<TaskKey> keys;
  std::set<uint32_t> told;
  for (const auto& [threads, key] : found)
    if (keys.size() < most && told.insert(key.tid).second) keys.push_back(key);
  return keys;
}

}  // namespace loiter

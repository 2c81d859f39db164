#include "daemon/model/origin_book.h"

#include <algorithm>
#include <bit>

namespace loiter {
namespace {

constexpr uint64_t kFirstBucketNs = 1'000'000'000;

size_t log2_of(uint64_t ns) {
  return ns == 0 ? 0 : static_cast<size_t>(std::bit_width(ns) - 1);
}

size_t index_of(SiteGap gap) {
  return static_cast<size_t>(gap);
}

// Halves the history: each two neighbours become one.
void widen(ProcessOrigins& origins) {
  std::vector<OriginBucket>& history = origins.history;
  for (size_t i = 0; i < history.size(); i += 2) {
    OriginBucket merged = history[i];
    if (i + 1 < history.size()) {
      merged.births += history[i + 1].births;
      merged.ends += history[i + 1].ends;
      merged.live = history[i + 1].live;
    }
    history[i / 2] = merged;
  }
  history.resize((history.size() + 1) / 2);
  origins.bucket_ns *= 2;
}

}  // namespace

const CreationSite* ProcessOrigins::find(uint32_t id) const {
  auto at = std::lower_bound(sites.begin(), sites.end(), id,
                             [](const CreationSite& site, uint32_t wanted) { return site.id < wanted; });
  return at != sites.end() && at->id == id ? &*at : nullptr;
}

// --- processes and their histories -----------------------------------------------------------------

OriginBook::Entry& OriginBook::entry_of(uint32_t pid, uint64_t boot_ns) {
  auto [at, made] = entries_.try_emplace(pid);
  Entry& entry = at->second;
  if (made) {
    entry.account = ++last_account_;
    entry.origins.first_boot_ns = boot_ns;
    entry.origins.bucket_ns = kFirstBucketNs;
  }
  entry.published = nullptr;
  return entry;
}

OriginBook::Entry* OriginBook::find(uint32_t pid) {
  auto found = entries_.find(pid);
  return found == entries_.end() ? nullptr : &found->second;
}

OriginBook::Entry* OriginBook::find(uint32_t pid, const Mark& mark) {
  Entry* entry = find(pid);
  return entry && entry->account == mark.account ? entry : nullptr;
}

// Events come nearly in the order of time: what is late counts for the newest bucket.
OriginBucket& OriginBook::bucket_at(Entry& entry, uint64_t boot_ns) {
  ProcessOrigins& origins = entry.origins;
  const uint64_t since = boot_ns - std::min(boot_ns, origins.first_boot_ns);
  while (since / origins.bucket_ns >= kBuckets) widen(origins);
  const size_t index = std::max<size_t>(since / origins.bucket_ns + 1, origins.history.size());
  origins.history.resize(index, {.births = 0, .ends = 0, .live = origins.live});
  return origins.history.back();
}

void OriginBook::end_process(uint32_t pid) {
  auto found = entries_.find(pid);
  if (found == entries_.end()) return;
  site_count_ -= found->second.origins.sites.size();
  gaps_[index_of(SiteGap::pending)] -= found->second.pending.size();
  gaps_[index_of(SiteGap::process_gone)] += found->second.pending.size();
  entries_.erase(found);
}

ProcessOriginsPtr OriginBook::publish(uint32_t pid) {
  Entry* entry = find(pid);
  if (!entry) return nullptr;
  if (!entry->published) entry->published = std::make_shared<const ProcessOrigins>(entry->origins);
  return entry->published;
}

// --- births and ends ---------------------------------------------------------------------------------

void OriginBook::count_gap(Entry& entry, SiteGap gap) {
  ++entry.origins.gaps[index_of(gap)];
  ++gaps_[index_of(gap)];
}

void OriginBook::uncount_gap(Entry& entry, SiteGap gap) {
  --entry.origins.gaps[index_of(gap)];
  --gaps_[index_of(gap)];
}

OriginBook::Mark OriginBook::mark_birth(Entry& entry, const TaskKey& thread, SiteCreator creator,
                                        SiteGap gap) {
  if (gap == SiteGap::pending)
    entry.pending.insert_or_assign(thread, Pending{std::move(creator), false, std::nullopt});
  count_gap(entry, gap);
  return {.site = 0, .gap = gap, .account = entry.account};
}

OriginBook::Mark OriginBook::add_birth(uint32_t pid, const TaskKey& thread, const TaskKey& creator,
                                       std::string_view creator_name, uint64_t boot_ns, SiteGap gap) {
  Entry& entry = entry_of(pid, boot_ns);
  ++entry.origins.births;
  ++entry.origins.live;
  OriginBucket& bucket = bucket_at(entry, boot_ns);
  ++bucket.births;
  bucket.live = entry.origins.live;
  return mark_birth(entry, thread, {creator, std::string(creator_name), 1}, gap);
}

OriginBook::Mark OriginBook::add_found(uint32_t pid, const TaskKey&, uint64_t boot_ns, bool before) {
  Entry& entry = entry_of(pid, boot_ns);
  ++entry.origins.live;
  OriginBucket& bucket = bucket_at(entry, boot_ns);
  bucket.live = entry.origins.live;
  const SiteGap gap = before ? SiteGap::before_daemon : SiteGap::event_lost;
  count_gap(entry, gap);
  if (!before) {
    ++entry.origins.births;
    ++bucket.births;
  }
  return {.site = 0, .gap = gap, .account = entry.account};
}

OriginBook::Mark OriginBook::tell_late(uint32_t pid, const TaskKey& thread, const Mark& mark,
                                       const TaskKey& creator, std::string_view creator_name,
                                       uint64_t boot_ns, SiteGap gap) {
  if (!find(pid, mark) || (mark.gap != SiteGap::event_lost && mark.gap != SiteGap::before_daemon))
    return mark;
  Entry& entry = entry_of(pid, boot_ns);
  uncount_gap(entry, mark.gap);
  if (mark.gap == SiteGap::before_daemon) {
    ++entry.origins.births;
    ++bucket_at(entry, boot_ns).births;
  }
  return mark_birth(entry, thread, {creator, std::string(creator_name), 1}, gap);
}

void OriginBook::add_untracked(uint32_t pid, uint64_t boot_ns) {
  Entry& entry = entry_of(pid, boot_ns);
  ++entry.origins.births;
  ++bucket_at(entry, boot_ns).births;
  count_gap(entry, SiteGap::over_limit);
}

void OriginBook::add_end(uint32_t pid, const TaskKey& thread, const Mark& mark, uint64_t boot_ns,
                         std::optional<uint64_t> lifetime_ns) {
  Entry* entry = find(pid, mark);
  if (!entry) return;
  entry->published = nullptr;
  ++entry->origins.ends;
  entry->origins.live -= std::min<uint64_t>(entry->origins.live, 1);
  OriginBucket& bucket = bucket_at(*entry, boot_ns);
  ++bucket.ends;
  bucket.live = entry->origins.live;
  if (auto pending = entry->pending.find(thread); pending != entry->pending.end()) {
    pending->second.ended = true;
    pending->second.lifetime_ns = lifetime_ns;
    return;
  }
  CreationSite* site = find_site(*entry, mark.site);
  if (!site) return;
  ++site->ended;
  if (lifetime_ns) ++site->lifetimes[log2_of(*lifetime_ns)];
}

void OriginBook::tell_ended(uint32_t pid, const TaskKey& thread, std::optional<uint64_t> lifetime_ns) {
  Entry* entry = find(pid);
  if (!entry) return;
  auto pending = entry->pending.find(thread);
  if (pending == entry->pending.end()) return;
  pending->second.ended = true;
  pending->second.lifetime_ns = lifetime_ns;
}

OriginBook::Mark OriginBook::take_back_end(uint32_t pid, const TaskKey& thread, const Mark& mark,
                                           uint64_t boot_ns, std::optional<uint64_t> lifetime_ns) {
  Entry* entry = find(pid, mark);
  if (!entry) return add_found(pid, thread, boot_ns, false);
  entry->published = nullptr;
  --entry->origins.ends;
  ++entry->origins.live;
  OriginBucket& bucket = bucket_at(*entry, boot_ns);
  bucket.ends -= std::min<uint64_t>(bucket.ends, 1);
  bucket.live = entry->origins.live;
  if (auto pending = entry->pending.find(thread); pending != entry->pending.end()) {
    pending->second.ended = false;
    pending->second.lifetime_ns.reset();
    return mark;
  }
  CreationSite* site = find_site(*entry, mark.site);
  if (!site || site->ended == 0) return mark;
  --site->ended;
  if (lifetime_ns && site->lifetimes[log2_of(*lifetime_ns)] > 0) --site->lifetimes[log2_of(*lifetime_ns)];
  return mark;
}

// --- sites -------------------------------------------------------------------------------------------

CreationSite* OriginBook::find_site(Entry& entry, uint32_t id) {
  return const_cast<CreationSite*>(entry.origins.find(id));
}

void OriginBook::forget_site(Entry& entry, size_t index) {
  std::vector<CreationSite>& sites = entry.origins.sites;
  entry.origins.gaps[index_of(SiteGap::forgotten)] += sites[index].births;
  gaps_[index_of(SiteGap::forgotten)] += sites[index].births;
  sites.erase(sites.begin() + static_cast<std::ptrdiff_t>(index));
  entry.published = nullptr;
  --site_count_;
}

void OriginBook::make_room(Entry& entry) {
  const auto oldest_of = [](const Entry& of) {
    return std::min_element(
        of.origins.sites.begin(), of.origins.sites.end(),
        [](const CreationSite& a, const CreationSite& b) { return a.last_used < b.last_used; });
  };
  if (entry.origins.sites.size() >= limits_.sites_of_process)
    forget_site(entry, static_cast<size_t>(oldest_of(entry) - entry.origins.sites.begin()));
  if (site_count_ < limits_.sites) return;
  Entry* owner = nullptr;
  uint64_t least = UINT64_MAX;
  for (auto& [pid, of] : entries_) {
    auto oldest = oldest_of(of);
    if (oldest == of.origins.sites.end() || oldest->last_used >= least) continue;
    least = oldest->last_used;
    owner = &of;
  }
  if (owner) forget_site(*owner, static_cast<size_t>(oldest_of(*owner) - owner->origins.sites.begin()));
}

// Mostly the very stack that was found before, else one that reads the same.
CreationSite& OriginBook::site_of(Entry& entry, const SiteStackPtr& stack) {
  std::vector<CreationSite>& sites = entry.origins.sites;
  auto same =
      std::find_if(sites.begin(), sites.end(), [&](const CreationSite& site) { return site.stack == stack; });
  if (same == sites.end())
    same = std::find_if(sites.begin(), sites.end(),
                        [&](const CreationSite& site) { return *site.stack == *stack; });
  if (same != sites.end()) return *same;
  make_room(entry);
  CreationSite& site = sites.emplace_back();
  site.id = ++last_site_;
  site.stack = stack;
  ++site_count_;
  return site;
}

// The first few are named, others only counted.
void OriginBook::count_creator(CreationSite& site, SiteCreator creator) {
  for (SiteCreator& known : site.creators) {
    if (!(known.key == creator.key)) continue;
    ++known.births;
    known.name = std::move(creator.name);
    return;
  }
  if (site.creators.size() < limits_.creators)
    site.creators.push_back(std::move(creator));
  else
    ++site.other_creators;
}

void OriginBook::count_routine(CreationSite& site, const std::shared_ptr<const SiteFrame>& routine) const {
  if (!routine) return;
  auto same = std::find_if(
      site.routines.begin(), site.routines.end(),
      [&](const CreationSite::Routine& known) { return known.frame == routine || *known.frame == *routine; });
  if (same != site.routines.end())
    ++same->births;
  else if (site.routines.size() < limits_.routines)
    site.routines.push_back({routine, 1});
}

std::optional<OriginBook::Mark> OriginBook::accept(const FoundOrigin& found, bool same_program) {
  Entry* entry = find(found.task.tgid);
  if (!entry) return std::nullopt;
  auto at = entry->pending.find({found.task.tid, found.task.start_boot_ns});
  if (at == entry->pending.end()) return std::nullopt;
  Pending pending = std::move(at->second);
  entry->pending.erase(at);
  entry->published = nullptr;
  uncount_gap(*entry, SiteGap::pending);
  SiteGap gap = found.gap;
  if (gap == SiteGap::none && !same_program) gap = SiteGap::process_gone;
  if (gap == SiteGap::none && !found.stack) gap = SiteGap::not_unwound;
  if (gap != SiteGap::none) {
    count_gap(*entry, gap);
    return Mark{.site = 0, .gap = gap, .account = entry->account};
  }
  CreationSite& site = site_of(*entry, found.stack);
  site.last_used = ++uses_;
  ++site.births;
  count_creator(site, std::move(pending.creator));
  count_routine(site, found.routine);
  if (pending.ended) {
    ++site.ended;
    if (pending.lifetime_ns) ++site.lifetimes[log2_of(*pending.lifetime_ns)];
  }
  return Mark{.site = site.id, .gap = SiteGap::none, .account = entry->account};
}

}  // namespace loiter

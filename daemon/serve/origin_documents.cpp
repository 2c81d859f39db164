#include "daemon/serve/origin_documents.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/bytes.h"
#include "daemon/serve/document_parts.h"

namespace loiter {
namespace {

// Up to the last one that is not zero.
Json lifetimes_json(const CreationSite& site) {
  Json counts = Json::array();
  const auto end =
      std::find_if(site.lifetimes.rbegin(), site.lifetimes.rend(), [](uint64_t count) { return count != 0; });
  for (auto at = site.lifetimes.begin(); at != end.base(); ++at) counts.push_back(*at);
  return {{"log2_ns", std::move(counts)}};
}

Json creators_json(const CreationSite& site) {
  std::vector<const SiteCreator*> creators;
  for (const SiteCreator& creator : site.creators) creators.push_back(&creator);
  std::stable_sort(creators.begin(), creators.end(),
                   [](const SiteCreator* a, const SiteCreator* b) { return a->births > b->births; });
  Json list = Json::array();
  for (const SiteCreator* creator : creators)
    list.push_back(
        {{"tid", creator->key.tid}, {"name", to_valid_utf8(creator->name)}, {"count", creator->births}});
  return list;
}

// Those that births have told, and those of threads that live: of a std::thread only these tell what it runs.
Json routines_json(const CreationSite& site, const Inspection* inspection,
                   const std::vector<uint32_t>& tids) {
  Json list = Json::array();
  for (const CreationSite::Routine& routine : site.routines) list.push_back(routine_json(*routine.frame, ""));
  std::set<uint32_t> indices;
  for (const uint32_t tid : tids)
    if (const InspectedThread* thread = inspection ? inspection->find(tid) : nullptr;
        thread && thread->routine)
      indices.insert(*thread->routine);
  for (const uint32_t index : indices) {
    const Json row = routine_json(*inspection, index);
    const bool known = std::any_of(list.begin(), list.end(), [&](const Json& other) {
      return other["module"] == row["module"] && other["offset"] == row["offset"] &&
             row["callable"].is_null();
    });
    if (!known) list.push_back(row);
  }
  return list;
}

// The live threads of a site; by its id.
struct Living {
  std::vector<uint32_t> tids;
  uint64_t oldest_boot_ns = UINT64_MAX;
};

Json site_json(const Snapshot& snapshot, const CreationSite& site, const Living& living,
               const Inspection* inspection) {
  const bool lives = !living.tids.empty();
  return {{"id", site.id},
          {"stack", frames_json(site.stack->frames)},
          {"cut", text_or_null(site.stack->cut)},
          {"births", site.births},
          {"live", site.live()},
          {"ended", site.ended},
          {"oldest_ns",
           lives ? Json(snapshot.begin_boot_ns - std::min(living.oldest_boot_ns, snapshot.begin_boot_ns))
                 : Json(nullptr)},
          {"start_routines", routines_json(site, inspection, living.tids)},
          {"lifetimes", lifetimes_json(site)},
          {"live_tids", living.tids},
          {"creators", creators_json(site)},
          {"other_creators", site.other_creators}};
}

Json gaps_json(const ProcessOrigins& origins) {
  Json gaps = Json::object();
  for (size_t i = 1; i < ProcessOrigins::kGaps; ++i)
    gaps[to_string(static_cast<SiteGap>(i))] = origins.gaps[i];
  return gaps;
}

}  // namespace

std::string origins_document(const Picture& picture, const ProcessView& process,
                             const Inspection* inspection) {
  static const ProcessOrigins kNone;
  const Snapshot& snapshot = *picture.snapshot;
  const ProcessOrigins& origins = process.origins ? *process.origins : kNone;
  std::unordered_map<uint32_t, Living> living;
  for (const ThreadView& thread : process.threads) {
    if (thread.site == 0) continue;
    Living& of_site = living[thread.site];
    of_site.tids.push_back(thread.key.tid);
    of_site.oldest_boot_ns = std::min(of_site.oldest_boot_ns, thread.key.start_boot_ns);
  }
  std::vector<const CreationSite*> sites;
  for (const CreationSite& site : origins.sites) sites.push_back(&site);
  std::stable_sort(sites.begin(), sites.end(), [](const CreationSite* a, const CreationSite* b) {
    return std::pair(a->live(), a->births) > std::pair(b->live(), b->births);
  });
  DocumentWriter document = begin_document(snapshot);
  document.field("process", process_identity(snapshot, process));
  document.field("births", origins.births);
  document.field("ends", origins.ends);
  document.field("live", origins.live);
  document.array("sites", sites, [&](const CreationSite* site) {
    return site_json(snapshot, *site, living[site->id], inspection);
  });
  document.field("without_site", gaps_json(origins));
  uint64_t begin_boot_ns = origins.first_boot_ns;
  document.array("history", origins.history, [&](const OriginBucket& bucket) {
    return Json{{"begin_boottime_ns", std::exchange(begin_boot_ns, begin_boot_ns + origins.bucket_ns)},
                {"length_ns", origins.bucket_ns},
                {"births", bucket.births},
                {"ends", bucket.ends},
                {"live", bucket.live}};
  });
  return std::move(document).finish();
}

std::string SiteTexts::created_by(uint32_t creator_tid, uint32_t site, SiteGap gap) {
  auto [text, added] = texts_.try_emplace(site);
  const CreationSite* known = process_.origins ? process_.origins->find(site) : nullptr;
  if (added && known)
    text->second = "\"site\":" + std::to_string(site) +
                   ",\"stack\":" + dump(frames_json(known->stack->frames)) +
                   ",\"cut\":" + dump(text_or_null(known->stack->cut)) + ",\"missing\":null}";
  std::string creator = "{\"tid\":" + (creator_tid ? std::to_string(creator_tid) : "null") + ",";
  if (known) return creator + text->second;
  if (gap == SiteGap::none) gap = SiteGap::forgotten;
  return creator + "\"site\":null,\"stack\":null,\"cut\":null,\"missing\":\"" + to_string(gap) + "\"}";
}

std::string SiteTexts::created_by(const ThreadView& thread) {
  if (thread.key.tid == process_.key.tid) return "null";
  return created_by(thread.creator.tid, thread.site, thread.site_gap);
}

std::string SiteTexts::created_by(const EndedThread& thread) {
  if (thread.key.tid == thread.tgid) return "null";
  return created_by(thread.creator.tid, thread.origin.site, thread.origin.gap);
}

}  // namespace loiter

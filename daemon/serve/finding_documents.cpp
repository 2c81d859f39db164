#include "daemon/serve/finding_documents.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"
#include "daemon/detect/overdue.h"
#include "daemon/serve/document_parts.h"

namespace loiter {
namespace {

// The holder is one of the finding's threads, or a process that the snapshot knows.
Json holder_name(const Snapshot& snapshot, const Finding& finding, const Holder& holder) {
  for (const FindingThread& thread : finding.threads)
    if (holder.tid && thread.key.tid == holder.tid && thread.pid == holder.pid)
      return to_valid_utf8(thread.name);
  const ProcessView* process = holder.pid ? snapshot.find(holder.pid) : nullptr;
  if (!process) return nullptr;
  for (const ThreadView& thread : process->threads)
    if (thread.key.tid == holder.tid) return to_valid_utf8(thread.name.view());
  return holder.state == HolderState::alive ? Json(to_valid_utf8(process->comm.view())) : Json(nullptr);
}

Json thread_json(const Snapshot& snapshot, const Finding& finding, const FindingThread& thread) {
  const Json syscall = syscall_or_null(thread.syscall, thread.compat);
  Json json = {{"pid", thread.pid},
               {"comm", to_valid_utf8(thread.comm)},
               {"tid", thread.key.tid},
               {"name", to_valid_utf8(thread.name)},
               {"born_boottime_ns", thread.key.start_boot_ns},
               {"state", to_string(thread.state)},
               {"blocked_ns", value_or_null(thread.blocked_ns)},
               {"blocked_max_ns", value_or_null(thread.blocked_max_ns)},
               {"exactness", thread.blocked_ns ? Json(to_string(thread.exactness)) : Json(nullptr)}};
  json["wait"] = thread.wait ? wait_json(snapshot, *thread.wait, syscall,
                                         holder_name(snapshot, finding, thread.wait->holder))
                             : Json{{"syscall", syscall}};
  json["via"] = text_or_null(thread.via);
  json["stack"] = frames_json(thread.stack);
  json["cut"] = text_or_null(thread.cut);
  json["start_routine"] = thread.routine ? routine_json(*thread.routine, thread.callable) : Json(nullptr);
  json["created_by"] = thread.creator.tid == 0
                           ? Json(nullptr)
                           : Json{{"tid", thread.creator.tid},
                                  {"stack", thread.site ? frames_json(thread.site->frames) : Json(nullptr)}};
  return json;
}

Json rule_json(const Finding& finding) {
  if (!finding.rule_line) return nullptr;
  return {{"line", finding.rule_line}, {"reason", text_or_null(finding.rule_reason)}};
}

Json evidence_json(const std::vector<Evidence>& evidence) {
  Json json = Json::object();
  for (const Evidence& item : evidence)
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
            json[item.name] = to_valid_utf8(value);
          else
            json[item.name] = value;
        },
        item.value);
  return json;
}

KeptFinding just_now(const Snapshot& snapshot, Finding finding) {
  KeptFinding kept;
  kept.first_boot_ns = kept.last_boot_ns = snapshot.begin_boot_ns;
  kept.finding = std::move(finding);
  return kept;
}

Json overdue_row(const OverdueThread& item) {
  Json row = {{"pid", item.process->key.tid},
              {"tid", item.thread->key.tid},
              {"comm", to_valid_utf8(item.process->comm.view())},
              {"name", to_valid_utf8(item.thread->name.view())},
              {"state", to_string(item.thread->state)}};
  add_blocked(row, *item.thread);
  return row;
}

Json not_judged_row(const NotJudged& item) {
  return {{"kind", to_string(item.kind)}, {"reason", item.reason}};
}

Json not_judged(const Snapshot& snapshot, const Verdicts* verdicts, uint64_t threshold_ns,
                std::optional<uint32_t> pid) {
  Json list = Json::array();
  if (size_t undated = count_undated(snapshot, threshold_ns, pid))
    list.push_back(not_judged_row(
        {FindingKind::overdue, std::to_string(undated) +
                                   (undated == 1 ? " blocked thread has" : " blocked threads have") +
                                   " an age only since loiter looked: when it last ran could not be told; "
                                   "look --for longer than the "
                                   "threshold"}));
  if (!verdicts) return list;
  for (const NotJudged& item : verdicts->not_judged) list.push_back(not_judged_row(item));
  if (threshold_ns != verdicts->threshold_ns)
    list.push_back(not_judged_row({FindingKind::stuck, "the running loiterd judges by its own threshold of " +
                                                           format_duration(verdicts->threshold_ns)}));
  return list;
}

bool concerns(const Finding& finding, uint32_t pid) {
  return finding.process.key.tid == pid ||
         std::ranges::any_of(finding.threads, [&](const FindingThread& thread) { return thread.pid == pid; });
}

}  // namespace

Json finding_json(const Snapshot& snapshot, const KeptFinding& kept) {
  const Finding& finding = kept.finding;
  const FindingThread* first = finding.threads.empty() ? nullptr : &finding.threads.front();
  const bool dated = first && first->blocked_ns;
  Json json = {{"id", finding.id},
               {"kind", to_string(finding.kind)},
               {"severity", to_string(finding.severity)},
               {"certainty", to_string(finding.certainty)},
               {"subject", "thread"},
               {"process", process_identity(snapshot, finding.process)},
               {"count", finding.count},
               {"blocked_ns", first ? value_or_null(first->blocked_ns) : Json(nullptr)},
               {"blocked_max_ns", first ? value_or_null(first->blocked_max_ns) : Json(nullptr)},
               {"exactness", dated ? Json(to_string(first->exactness)) : Json(nullptr)},
               {"threads", Json::array()},
               {"chain", finding.chain},
               {"summary", to_valid_utf8(finding.summary)},
               {"evidence", evidence_json(finding.evidence)},
               {"hint", to_valid_utf8(finding.hint)},
               {"rule", rule_json(finding)}};
  for (const FindingThread& thread : finding.threads)
    json["threads"].push_back(thread_json(snapshot, finding, thread));
  json["since"] = finding.since_boot_ns ? Json(snapshot.wall.format(*finding.since_boot_ns)) : Json(nullptr);
  // Clocks of two runs are some nanoseconds apart.
  json["first_seen"] =
      kept.first_ns ? format_rfc3339(kept.first_ns) : snapshot.wall.format(kept.first_boot_ns);
  json["last_seen"] = snapshot.wall.format(kept.last_boot_ns);
  json["resolved"] =
      kept.resolved_boot_ns ? Json(snapshot.wall.format(kept.resolved_boot_ns)) : Json(nullptr);
  json["resolution"] = kept.resolution == Resolution::none ? Json(nullptr) : Json(to_string(kept.resolution));
  json["resolved_exactness"] = resolved_exactness(kept.resolved_boot_ns != 0, kept.unwatched);
  return json;
}

namespace {

bool is_known(const StoredFinding& stored, const std::vector<KeptFindingPtr>& known) {
  return stored.of_this_boot && std::ranges::any_of(known, [&](const KeptFindingPtr& kept) {
           return kept->finding.id == stored.kept.finding.id &&
                  kept->first_boot_ns == stored.kept.first_boot_ns;
         });
}

}  // namespace

std::string findings_document(const Verdicts& verdicts, const FindingWish& wish,
                              const HistoryAnswer* history) {
  const Snapshot& snapshot = *verdicts.snapshot;
  std::vector<KeptFindingPtr> chosen, ignored;
  const auto choose = [&](const std::vector<KeptFindingPtr>& from, std::vector<KeptFindingPtr>& to) {
    for (const KeptFindingPtr& kept : from)
      if ((!wish.pid || concerns(kept->finding, *wish.pid)) && (!wish.id || kept->finding.id == *wish.id))
        to.push_back(kept);
  };
  choose(verdicts.live, chosen);
  if (wish.resolved || wish.id) choose(verdicts.resolved, chosen);
  choose(verdicts.ignored, ignored);
  // Behind them those that only the history knows any more.
  std::vector<std::pair<const Snapshot*, const KeptFinding*>> rows;
  rows.reserve(chosen.size() + (history ? history->findings.size() : 0));
  for (const KeptFindingPtr& kept : chosen) rows.emplace_back(&snapshot, kept.get());
  if (history)
    for (const StoredFinding& stored : history->findings)
      if (!is_known(stored, chosen)) rows.emplace_back(stored.snapshot.get(), &stored.kept);
  DocumentWriter document = begin_document(snapshot);
  document.field("threshold_ns", verdicts.threshold_ns);
  document.array("findings", rows, [](const auto& row) { return finding_json(*row.first, *row.second); });
  document.array("ignored", ignored,
                 [&](const KeptFindingPtr& kept) { return finding_json(snapshot, *kept); });
  document.field("ignored_count", verdicts.ignored_count);
  document.field("dropped", verdicts.dropped);
  document.field("left_out", history ? history->findings_left_out : 0);
  document.field("history_failure", history ? text_or_null(history->failure) : Json(nullptr));
  document.array("not_judged", verdicts.not_judged, not_judged_row);
  return std::move(document).finish();
}

std::string scan_document(const Picture& picture, const Verdicts* verdicts, uint64_t threshold_ns,
                          std::optional<uint32_t> pid, bool strict) {
  const Snapshot& snapshot = verdicts ? *verdicts->snapshot : *picture.snapshot;
  DocumentWriter document = begin_document(snapshot);
  document.field("threshold_ns", threshold_ns);
  const std::vector<OverdueThread> overdue = find_overdue(snapshot, threshold_ns, pid);
  std::vector<KeptFindingPtr> findings;
  if (verdicts)
    for (const KeptFindingPtr& kept : verdicts->live)
      if (!pid || concerns(kept->finding, *pid)) findings.push_back(kept);
  uint64_t ignored = verdicts ? verdicts->ignored_count : 0;
  if (strict) {
    std::vector<Finding> strict_ones = overdue_findings(overdue, threshold_ns);
    if (verdicts && verdicts->rules) ignored += verdicts->rules->apply(strict_ones, {}).ignored.size();
    for (Finding& finding : strict_ones)
      findings.push_back(std::make_shared<KeptFinding>(just_now(snapshot, std::move(finding))));
  }
  document.array("findings", findings,
                 [&](const KeptFindingPtr& kept) { return finding_json(snapshot, *kept); });
  document.field("ignored_count", ignored);
  document.array("overdue", overdue, overdue_row);
  document.field("not_judged", not_judged(snapshot, verdicts, threshold_ns, pid));
  return std::move(document).finish();
}

}  // namespace loiter

#include "daemon/serve/documents.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "daemon/base/bytes.h"
#include "daemon/base/version.h"
#include "daemon/detect/overdue.h"
#include "daemon/serve/document_parts.h"
#include "daemon/serve/origin_documents.h"
#include "daemon/serve/pthread_documents.h"

namespace loiter {
namespace {

double rounded(double value) {
  return std::round(value * 100) / 100;
}

Json oldest_blocked(const ThreadView* thread) {
  if (!thread) return nullptr;
  Json json = {{"tid", thread->key.tid},
               {"name", to_valid_utf8(thread->name.view())},
               {"state", to_string(thread->state)}};
  add_blocked(json, *thread);
  return json;
}

struct ProcessTotals {
  uint64_t running = 0, runnable = 0, blocked = 0, overdue = 0, voluntary = 0, involuntary = 0;
  const ThreadView* oldest = nullptr;
};

ProcessTotals total(const ProcessView& process, uint64_t threshold_ns) {
  ProcessTotals totals;
  for (const ThreadView& thread : process.threads) {
    totals.running += thread.state == TaskState::running;
    totals.runnable += thread.state == TaskState::runnable;
    totals.blocked += is_blocked(thread.state);
    totals.overdue += is_overdue(process, thread, threshold_ns);
    totals.voluntary += thread.voluntary_switches;
    totals.involuntary += thread.involuntary_switches;
    if (thread.blocked_ns && (!totals.oldest || *thread.blocked_ns > *totals.oldest->blocked_ns))
      totals.oldest = &thread;
  }
  return totals;
}

// What a row is marked with.
Json mark_json(const Finding* finding) {
  if (!finding) return nullptr;
  return {
      {"id", finding->id}, {"kind", to_string(finding->kind)}, {"severity", to_string(finding->severity)}};
}

Json process_row(const Snapshot& snapshot, const ProcessView& process, uint64_t threshold_ns,
                 const FindingMarks* marks) {
  ProcessTotals totals = total(process, threshold_ns);
  Json row = process_identity(snapshot, process);
  row["thread_count"] = process.threads.size();
  row["running"] = totals.running;
  row["runnable"] = totals.runnable;
  row["blocked"] = totals.blocked;
  row["overdue"] = totals.overdue;
  row["born_per_s"] = rounded(process.born_per_s);
  row["ended_per_s"] = rounded(process.ended_per_s);
  row["cpu_ns"] = process.cpu_ns;
  row["cpu_percent"] = rounded(process.cpu_fraction * 100);
  row["voluntary_switches"] = totals.voluntary;
  row["involuntary_switches"] = totals.involuntary;
  row["oldest_blocked"] = oldest_blocked(totals.oldest);
  row["finding"] = mark_json(marks ? marks->of_process(process.key) : nullptr);
  return row;
}

void add_creator(Json& to, const TaskKey& creator, bool alive) {
  to["parent_tid"] = creator.tid ? Json(creator.tid) : Json(nullptr);
  to["parent_alive"] = creator.tid ? Json(alive) : Json(nullptr);
}

Json thread_row(const Snapshot& snapshot, const ProcessView& process, const ThreadView& thread,
                uint64_t threshold_ns, const Inspection* inspection, const FindingMarks* marks) {
  Json row = {{"tid", thread.key.tid}};
  add_creator(row, thread.creator, thread.creator_alive);
  row["name"] = to_valid_utf8(thread.name.view());
  row["state"] = to_string(thread.state);
  row["born_boottime_ns"] = thread.key.start_boot_ns;
  row["start_time"] = snapshot.wall.format(thread.key.start_boot_ns);
  add_blocked(row, thread);
  const InspectedThread* inspected = inspection ? inspection->find(thread.key.tid) : nullptr;
  bool same = inspected && inspected->record.id.start_boot_ns == thread.key.start_boot_ns;
  row["wait"] = same ? wait_json(snapshot, *inspection, inspected, thread.blocked_ns) : Json(nullptr);
  row["start_routine"] = same ? routine_json(*inspection, inspected->routine) : Json(nullptr);
  row["cpu"] = thread.cpu;
  row["cpu_ns"] = thread.cpu_ns;
  row["voluntary_switches"] = thread.voluntary_switches;
  row["involuntary_switches"] = thread.involuntary_switches;
  row["overdue"] = is_overdue(process, thread, threshold_ns);
  row["finding"] = mark_json(marks ? marks->of_thread(thread.key) : nullptr);
  return row;
}

Json ended_row(const Snapshot& snapshot, const EndedThread& thread, const FindingMarks* marks) {
  return {{"tid", thread.key.tid},
          {"parent_tid", thread.creator.tid ? Json(thread.creator.tid) : Json(nullptr)},
          {"name", to_valid_utf8(thread.name.view())},
          {"born_boottime_ns", thread.key.start_boot_ns},
          {"start_time", snapshot.wall.format(thread.key.start_boot_ns)},
          {"ended_boottime_ns", thread.ended_boot_ns},
          {"ended", snapshot.wall.format(thread.ended_boot_ns)},
          {"exactness", to_string(thread.exactness)},
          {"cpu_ns", thread.cpu_ns},
          {"finding", mark_json(marks ? marks->of_thread(thread.key) : nullptr)}};
}

uint64_t own_pss_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word == "Pss:" && file >> kib) return kib * 1024;
  return 0;
}

uint64_t count_overdue(const Snapshot& snapshot, uint64_t threshold_ns) {
  uint64_t count = 0;
  for (const ProcessView& process : snapshot.processes)
    for (const ThreadView& thread : process.threads) count += is_overdue(process, thread, threshold_ns);
  return count;
}

Json features_json(const DaemonFacts& facts) {
  Json list = Json::array();
  for (const auto& feature : facts.features)
    list.push_back({{"name", feature.name}, {"state", feature.state}, {"detail", feature.detail}});
  return list;
}

Json capabilities_json(const DaemonFacts& facts) {
  Json list = Json::array();
  for (const auto& capability : facts.capabilities)
    list.push_back({{"name", capability.name}, {"held", capability.held}, {"reason", capability.reason}});
  return list;
}

Json config_json(const DaemonFacts::ConfigFile& config, const Snapshot& snapshot) {
  return {
      {"path", to_valid_utf8(config.path)},
      {"loaded", config.loaded_boot_ns ? Json(snapshot.wall.format(config.loaded_boot_ns)) : Json(nullptr)},
      {"rules", config.rules},
      {"failed", config.failed.empty() ? Json(nullptr) : Json(to_valid_utf8(config.failed))}};
}

Json losses_json(const Picture& picture) {
  Json list = Json::array();
  for (const LossCount& loss : picture.losses)
    list.push_back({{"cause", loss.cause}, {"count", loss.count}, {"detail", loss.detail}});
  return list;
}

Json memory_json(const Picture& picture) {
  Json maps = Json::array();
  uint64_t bpf_bytes = 0;
  for (const auto* list : {&picture.facts->maps, &picture.uprobes.maps})
    for (const BpfMapSize& map : *list) {
      maps.push_back({{"name", map.name}, {"bytes", map.bytes}});
      bpf_bytes += map.bytes;
    }
  return {{"pss_bytes", own_pss_bytes()}, {"bpf_bytes", bpf_bytes}, {"bpf_maps", std::move(maps)}};
}

}  // namespace

std::string status_document(const Picture& picture, size_t event_streams, const Result<UprobeCost>* cost) {
  const DaemonFacts& facts = *picture.facts;
  const Snapshot& snapshot = *picture.snapshot;
  Json json = {
      {"schema", kSchema},
      {"version", kVersion},
      {"pid", getpid()},
      {"private", facts.is_private},
      {"started", snapshot.wall.format(facts.started_boot_ns)},
      {"uptime_ns", snapshot.begin_boot_ns - std::min(facts.started_boot_ns, snapshot.begin_boot_ns)},
      {"threshold_ns", facts.threshold_ns},
      {"census_interval_ns", facts.census_interval_ns},
      {"kernel_threads", facts.kernel_threads}};
  json["host"] = {{"name", to_valid_utf8(facts.host_name)},
                  {"kernel", facts.kernel},
                  {"arch", facts.architecture},
                  {"cpus", facts.cpus}};
  json["config"] = config_json(facts.config, snapshot);
  json["features"] = features_json(facts);
  json["capabilities"] = capabilities_json(facts);
  json["census"] = {{"passes", picture.cost.passes},
                    {"failed", picture.cost.failed},
                    {"threads", snapshot.thread_count},
                    {"still", picture.cost.still},
                    {"read_ns", picture.cost.read_ns},
                    {"publish_ns", picture.cost.publish_ns},
                    {"cpu_ns", picture.cost.cpu_ns},
                    {"as_of", snapshot.wall.format(snapshot.begin_boot_ns)},
                    {"as_of_boottime_ns", snapshot.begin_boot_ns}};
  json["events"] = {{"born", snapshot.events.born},
                    {"ended", snapshot.events.ended},
                    {"execs", snapshot.events.execs},
                    {"renames", snapshot.events.renames}};
  json["uprobes"] = uprobes_json(picture.uprobes, cost);
  json["losses"] = losses_json(picture);
  json["losses_total"] = picture.losses_total();
  json["repairs"] = {{"added", snapshot.repairs.added},     {"removed", snapshot.repairs.removed},
                     {"renamed", snapshot.repairs.renamed}, {"execs", snapshot.repairs.execs},
                     {"redated", snapshot.repairs.redated}, {"doubted", snapshot.repairs.doubted}};
  json["counts"] = {
      {"processes", snapshot.processes.size()}, {"threads", snapshot.thread_count},
      {"blocked", snapshot.blocked_count},      {"overdue", count_overdue(snapshot, facts.threshold_ns)},
      {"ended_kept", snapshot.ended.size()},    {"ended_dropped", snapshot.ended_dropped},
      {"event_streams", event_streams}};
  json["memory"] = memory_json(picture);
  return dump(json);
}

std::string processes_document(const Picture& picture, uint64_t threshold_ns, const FindingMarks* marks) {
  const Snapshot& snapshot = *picture.snapshot;
  DocumentWriter document = begin_document(snapshot);
  document.field("host", {{"name", to_valid_utf8(picture.facts->host_name)},
                          {"processes", snapshot.processes.size()},
                          {"threads", snapshot.thread_count},
                          {"blocked", snapshot.blocked_count},
                          {"overdue", count_overdue(snapshot, threshold_ns)},
                          {"born_per_s", rounded(snapshot.born_per_s)},
                          {"ended_per_s", rounded(snapshot.ended_per_s)},
                          {"census_ns", picture.cost.publish_ns},
                          {"losses_total", picture.losses_total()},
                          {"threshold_ns", threshold_ns}});
  document.array("processes", snapshot.processes, [&](const ProcessView& process) {
    return process_row(snapshot, process, threshold_ns, marks);
  });
  return std::move(document).finish();
}

std::string process_document(const Picture& picture, const ProcessView& process, uint64_t threshold_ns,
                             const Inspection* inspection, ThreadParts parts, const FindingMarks* marks) {
  const Snapshot& snapshot = *picture.snapshot;
  DocumentWriter document = begin_document(snapshot);
  document.field("threshold_ns", threshold_ns);
  SiteTexts sites(process);
  Json row = process_row(snapshot, process, threshold_ns, marks);
  row["ended"] = process.ended_boot_ns ? Json(snapshot.wall.format(*process.ended_boot_ns)) : Json(nullptr);
  document.field("process", row);
  document.array_of_text("threads", process.threads, [&](const ThreadView& thread) {
    std::string text = dump(thread_row(snapshot, process, thread, threshold_ns, inspection, marks));
    return parts.origins ? with_field(std::move(text), "created_by", sites.created_by(thread)) : text;
  });
  if (parts.ended) {
    std::vector<const EndedThread*> ended;
    for (const EndedThread& thread : snapshot.ended)
      if (thread.tgid == process.key.tid && thread.process_start_boot_ns == process.key.start_boot_ns)
        ended.push_back(&thread);
    document.array_of_text("ended_threads", ended, [&](const EndedThread* thread) {
      std::string text = dump(ended_row(snapshot, *thread, marks));
      return parts.origins ? with_field(std::move(text), "created_by", sites.created_by(*thread)) : text;
    });
  } else {
    document.field("ended_threads", nullptr);
  }
  document.field("ended_dropped", process.ended_dropped);
  return std::move(document).finish();
}

std::string error_document(std::string_view code, std::string_view message) {
  return dump({{"schema", kSchema}, {"error", {{"code", code}, {"message", to_valid_utf8(message)}}}});
}

}  // namespace loiter

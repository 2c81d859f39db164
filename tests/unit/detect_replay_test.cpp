// Recorded snapshots (tests/data), replayed through the detectors as the judge has them run: what is found of
// severity warning or above at the last one is what the recording expects, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/detect/deadlock.h"
#include "daemon/detect/exhaustion.h"
#include "daemon/detect/history.h"
#include "daemon/detect/leak.h"
#include "daemon/detect/orphan.h"
#include "daemon/detect/spin.h"
#include "daemon/detect/starved.h"
#include "daemon/detect/stuck.h"
#include "daemon/detect/unjoined.h"
#include "daemon/inspect/chain.h"
#include "daemon/model/syscalls.h"
#include "tests/lib/paths.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// Of an enumeration whose words are those of the API.
template <typename Enum>
Enum parse(const std::string& word, Enum last) {
  for (int value = 0; value <= static_cast<int>(last); ++value)
    if (word == to_string(static_cast<Enum>(value))) return static_cast<Enum>(value);
  throw std::runtime_error("no such word: " + word);
}

HolderState parse_holder(const json& word) {
  static const std::map<std::string, HolderState> words = {
      {"alive", HolderState::alive},         {"ended", HolderState::ended},
      {"inherited", HolderState::inherited}, {"deadlocked", HolderState::deadlocked},
      {"none", HolderState::none},           {"unknown", HolderState::unknown}};
  return word.is_null() ? HolderState::inapplicable : words.at(word);
}

// -1 also where another machine recorded it, which has others.
int64_t parse_syscall(const json& name) {
  if (name.is_null()) return -1;
  for (int64_t number = 0; number < 1024; ++number)
    if (syscall_name(number, false) == name) return number;
  return -1;
}

uint32_t number_or_0(const json& number) {
  return number.is_null() ? 0 : number.get<uint32_t>();
}

// The places in a thread's row.
enum Field { kTid, kBorn, kState, kBlocked, kSyscall, kVoluntary, kInvoluntary, kCpuNs, kCpu, kSite, kWait };

Wait parse_wait(const json& row) {
  Wait wait;
  wait.kind = parse(row[0], WaitKind::other);
  wait.object = row[1];
  wait.holder = {parse_holder(row[2]), number_or_0(row[3]), number_or_0(row[4])};
  if (!row[5].is_null()) wait.bounded = row[5].get<bool>();
  for (const json& pid : row[6]) wait.peers.push_back({.pid = pid});
  return wait;
}

std::optional<uint64_t> number(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<uint64_t>());
}

ProcessLimits parse_limits(const json& row) {
  ProcessLimits limits;
  for (const json& pids : row.at("pids")) limits.pids.push_back({pids[0], pids[1], pids[2]});
  limits.nproc = number(row.at("nproc"));
  if (const json& cpu = row.at("cpu"); !cpu.is_null())
    limits.cpu = CpuThrottling{cpu[0], cpu[1], cpu[2], cpu[3]};
  return limits;
}

class Replay {
 public:
  explicit Replay(const json& recording)
      : thresholds_(Thresholds::of(recording.at("threshold_ns"))), history_(thresholds_, 1'000'000'000) {
    for (const json& row : recording.at("snapshots")) add(row);
  }

  // As of the last snapshot.
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  void add(const json& row) {
    Snapshot snapshot;
    snapshot.pass = ++pass_;
    snapshot.begin_mono_ns = snapshot.begin_boot_ns = row.at("mono_ns");
    std::map<uint32_t, InspectionPtr> looked;
    for (const json& process : row.at("processes")) add_process(snapshot, looked, process);
    std::ranges::sort(snapshot.processes, {}, [](const ProcessView& view) { return view.key.tid; });
    ChainFinder finder([&](uint32_t pid) -> InspectionPtr {
      auto found = looked.find(pid);
      return found == looked.end() ? nullptr : found->second;
    });
    std::vector<WaitEdge> edges;
    for (const auto& [pid, inspection] : looked)
      for (const WaitEdge& edge : finder.edges(pid))
        if (edge.pid == pid) edges.push_back(edge);
    waits_.expire(snapshot);
    waits_.take(looked, edges);
    unjoined_.expire(snapshot);
    for (const auto& [pid, inspection] : looked) unjoined_.take(*inspection, snapshot);
    history_.add(snapshot);
    judge(snapshot, limits_of(row));
  }

  void add_process(Snapshot& snapshot, std::map<uint32_t, InspectionPtr>& looked, const json& row) {
    ProcessView process;
    auto inspection = std::make_shared<Inspection>();
    process.key = {row.at("pid"), row.at("start")};
    process.parent_pid = row.at("parent_pid");
    process.uid = row.at("uid");
    process.cgroup = row.value("cgroup", "");
    row.at("comm").get<std::string>().copy(process.comm.bytes, sizeof(process.comm.bytes) - 1);
    inspection->pid = process.key.tid;
    inspection->start_boot_ns = process.key.start_boot_ns;
    inspection->mono_ns = snapshot.begin_mono_ns + 1;
    std::map<uint32_t, uint64_t> live;  // by site
    for (const json& thread : row.at("threads")) {
      process.threads.push_back(view_of(thread));
      inspection->threads.push_back(inspected(thread, process));
      if (process.threads.back().site) ++live[process.threads.back().site];
    }
    std::ranges::sort(inspection->threads, {},
                      [](const InspectedThread& thread) { return thread.record.id.tid; });
    add_origins(process, live);
    if (row.contains("unjoined") && !row["unjoined"].is_null())
      add_unjoined(snapshot, *inspection, row["unjoined"]);
    snapshot.thread_count += process.threads.size();
    snapshot.processes.push_back(std::move(process));
    looked[inspection->pid] = inspection;
  }

  static ThreadView view_of(const json& row) {
    ThreadView thread;
    thread.key = {row[kTid], row[kBorn]};
    thread.state = parse(row[kState], TaskState::parked);
    thread.exactness = Exactness::estimated;
    if (!row[kBlocked].is_null()) thread.blocked_ns = row[kBlocked].get<uint64_t>();
    thread.syscall = parse_syscall(row[kSyscall]);
    thread.voluntary_switches = row[kVoluntary];
    thread.involuntary_switches = row[kInvoluntary];
    thread.cpu_ns = row[kCpuNs];
    thread.cpu = row[kCpu];
    thread.site = number_or_0(row[kSite]);
    return thread;
  }

  static InspectedThread inspected(const json& row, const ProcessView& process) {
    InspectedThread thread;
    thread.record.id = {
        .tid = row[kTid], .tgid = process.key.tid, .start_boot_ns = row[kBorn], .exec_id = 0, .pad = 0};
    thread.record.voluntary_switches = row[kVoluntary];
    thread.record.involuntary_switches = row[kInvoluntary];
    thread.blocked = !row[kBlocked].is_null();
    if (!row[kWait].is_null()) thread.wait = parse_wait(row[kWait]);
    return thread;
  }

  // For the descriptor of one that ended stands the moment when it did, for that of others their place.
  static void add_unjoined(Snapshot& snapshot, Inspection& inspection, const json& row) {
    PthreadCounts& counts = inspection.pthreads.emplace();
    counts.joining = row.at("joining");
    for (const json& thread : row.at("threads")) {
      UnjoinedThread& unjoined = counts.unjoined.emplace_back();
      unjoined.thread_pointer = number(thread[1]).value_or(counts.unjoined.size());
      if (thread[1].is_null()) continue;
      EndedThread& ended = snapshot.ended.emplace_back();
      ended.key = {thread[0], 1};
      ended.tgid = inspection.pid;
      ended.process_start_boot_ns = inspection.start_boot_ns;
      ended.ended_boot_ns = ended.tls_base = thread[1];
    }
  }

  // All that were recorded, of whom the judge would ask for some.
  static KnownLimits limits_of(const json& snapshot) {
    KnownLimits limits;
    if (!snapshot.contains("host")) return limits;
    limits.host = {number(snapshot["host"][0]), number(snapshot["host"][1]), number(snapshot["host"][2])};
    for (const json& process : snapshot.at("processes"))
      if (const json& row = process.at("limits"); !row.is_null())
        limits.processes[process.at("pid")] = parse_limits(row);
    return limits;
  }

  // Births as far as snapshots show them.
  void add_origins(ProcessView& process, const std::map<uint32_t, uint64_t>& live) {
    if (process.threads.size() < 2) return;
    auto origins = std::make_shared<ProcessOrigins>();
    for (const auto& [id, count] : live) {
      CreationSite& known = sites_[process.key.tid][id];
      known.id = id;
      if (count > known.live()) known.births += count - known.live();
      known.ended = known.births - count;
      origins->births += known.births;
      origins->ends += known.ended;
      origins->live += count;
      origins->sites.push_back(known);
    }
    process.origins = std::move(origins);
  }

  void judge(const Snapshot& snapshot, const KnownLimits& limits) {
    const HostCase host(snapshot, waits_, thresholds_);
    findings_ = find_deadlocks(host);
    turns_.see(host);
    const auto append = [&](std::vector<Finding> more) {
      std::move(more.begin(), more.end(), std::back_inserter(findings_));
    };
    append(find_orphans(host));
    append(find_stuck(host, turns_));
    append(find_leaks(host, history_, limits));
    append(find_exhaustion(host, history_, limits));
    append(find_starved(host, history_, limits));
    append(find_spinning(host, history_));
    append(find_unjoined(host, unjoined_));
  }

  Thresholds thresholds_;
  History history_;
  Waits waits_;
  UnjoinedBook unjoined_;
  TurnWatch turns_;
  std::map<uint32_t, std::map<uint32_t, CreationSite>> sites_;  // by pid
  std::vector<Finding> findings_;
  uint64_t pass_ = 0;
};

// "deadlock critical 12 13", "leak warning of 12", as a line to be compared.
std::string line_of(const std::string& kind, const std::string& severity, std::vector<uint32_t> tids) {
  std::ranges::sort(tids);
  std::string line = kind + ' ' + severity;
  for (const uint32_t tid : tids) line += ' ' + std::to_string(tid);
  return line;
}
std::string line_of(const std::string& kind, const std::string& severity, uint32_t pid) {
  return kind + ' ' + severity + " of " + std::to_string(pid);
}

std::vector<std::string> expected_lines(const json& recording) {
  std::vector<std::string> lines;
  for (const json& finding : recording.at("expected"))
    lines.push_back(finding.contains("pid") ? line_of(finding.at("kind"), finding.at("severity"),
                                                      finding.at("pid").get<uint32_t>())
                                            : line_of(finding.at("kind"), finding.at("severity"),
                                                      finding.at("tids").get<std::vector<uint32_t>>()));
  return lines;
}

std::string line_of(const Finding& finding) {
  const std::string kind = to_string(finding.kind), severity = to_string(finding.severity);
  switch (finding.kind) {
    case FindingKind::leak:
    case FindingKind::unjoined:
    case FindingKind::exhaustion:
    case FindingKind::starved:
      return line_of(kind, severity, finding.process.key.tid);
    default:
      break;
  }
  std::vector<uint32_t> tids;
  const size_t named = finding.kind == FindingKind::deadlock ? finding.chain : 1;
  for (size_t i = 0; i < std::min(named, finding.threads.size()); ++i)
    tids.push_back(finding.threads[i].key.tid);
  return line_of(kind, severity, tids);
}

// Those of severity info only where one of that kind is expected.
std::vector<std::string> found_lines(const std::vector<Finding>& findings, const json& expected) {
  const auto is_expected = [&](const Finding& finding) {
    return std::ranges::any_of(expected,
                               [&](const json& it) { return it.at("kind") == to_string(finding.kind); });
  };
  std::vector<std::string> lines;
  for (const Finding& finding : findings)
    if (finding.severity != Severity::info || is_expected(finding)) lines.push_back(line_of(finding));
  return lines;
}

TEST(DetectReplay, FindsWhatWasRecordedAndNothingElse) {
  size_t files = 0, quiet = 0;
  std::set<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(build_dir() + "/tests/data")) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path().filename());
    std::ifstream file(entry.path());
    const json recording = json::parse(file);
    const Replay replay(recording);
    EXPECT_EQ(found_lines(replay.findings(), recording.at("expected")), expected_lines(recording));
    ++files;
    quiet += recording.at("expected").empty();
    for (const json& finding : recording.at("expected")) kinds.insert(finding.at("kind"));
  }
  EXPECT_GE(files, 25u);
  EXPECT_GE(quiet, 13u);
  EXPECT_THAT(kinds, testing::UnorderedElementsAre("deadlock", "orphan", "stuck", "leak", "unjoined",
                                                   "exhaustion", "starved", "spin"));
}

}  // namespace
}  // namespace loiter::test

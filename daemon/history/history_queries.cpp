#include "daemon/history/history_queries.h"

#include <algorithm>
#include <map>
#include <string>

#include "daemon/history/finding_codec.h"
#include "daemon/history/history_file.h"

namespace loiter {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kFinestNs = kSecondNs;
constexpr size_t kMostSpans = 1000;
constexpr int64_t kMostCandidates = 20'000;  // processes that are looked at, the last ones begun

// Of the processes that are asked for, as a condition on columns called `prefix`pid and so on. bind_subject()
// gives it its value, as parameter number `at`.
std::string subject_clause(const HistoryQuery& query, const std::string& prefix, int at) {
  const std::string value = "?" + std::to_string(at), exe = prefix + "exe";
  if (query.pid) return " AND " + prefix + "pid = " + value;
  if (!query.name) return "";
  return " AND (" + prefix + "comm = " + value + " OR " + exe + " = " + value + " OR substr(" + exe +
         ", -length(" + value + ") - 1) = '/' || " + value + ")";
}

void bind_subject(Statement& statement, const HistoryQuery& query) {
  if (query.pid)
    statement.bind(*query.pid);
  else if (query.name)
    statement.bind(*query.name);
}

// --- when it was watched ----------------------------------------------------------------------------

// `goes_on`: the last run does, and what is later than its last row has not changed since.
std::vector<WatchedSpan> watched_spans(Database& database, const HistoryAnswer& answer, bool goes_on) {
  const uint64_t since_ns = answer.since_ns, until_ns = answer.until_ns;
  std::vector<WatchedSpan> spans;
  Statement runs(database,
                 "SELECT begin_ns, iif(?1 AND id = (SELECT max(id) FROM run), ?2, seen_ns) AS end_ns FROM run"
                 " WHERE end_ns >= ?3 ORDER BY begin_ns");
  runs.bind(uint32_t{goes_on}).bind(until_ns).bind(since_ns);
  while (runs.step() && spans.size() < kMostSpans) {
    const WatchedSpan span{std::max(runs.count(0), since_ns), std::min(runs.count(1), until_ns)};
    if (span.end_ns < span.begin_ns) continue;
    // The clock was set back between the two.
    if (!spans.empty() && span.begin_ns <= spans.back().end_ns)
      spans.back().end_ns = std::max(spans.back().end_ns, span.end_ns);
    else
      spans.push_back(span);
  }
  return spans;
}

// --- counts -----------------------------------------------------------------------------------------

struct Sample {
  uint64_t at_ns = 0, length_ns = 0;
  CountPoint point;
};

void add(CountPoint& to, const CountPoint& from) {
  to.least = to.known ? std::min(to.least, from.least) : from.least;
  to.most = std::max(to.most, from.most);
  to.live = from.live;
  to.births += from.births;
  to.ends += from.ends;
  to.longest_ns = std::max(to.longest_ns, from.longest_ns);
  to.known = true;
}

// The time that an answer is about, in periods.
class Periods {
 public:
  Periods(const HistoryAnswer& answer)
      : answer_(answer), count_((answer.until_ns - answer.since_ns + answer.step_ns - 1) / answer.step_ns) {}
  size_t count() const { return count_; }
  uint64_t begin(size_t index) const { return answer_.since_ns + index * answer_.step_ns; }
  size_t of(uint64_t ns) const {
    const uint64_t from = std::max(ns, answer_.since_ns) - answer_.since_ns;
    return std::min<size_t>(from / answer_.step_ns, count_ - 1);
  }

 private:
  const HistoryAnswer& answer_;
  size_t count_;
};

// Between two samples nothing has changed, as long as somebody watched and the process lived.
void carry(ProcessCounts& process, const CountPoint& as, uint64_t from_ns, uint64_t to_ns,
           const HistoryAnswer& answer, const Periods& periods) {
  CountPoint still{.known = true, .live = as.live, .least = as.live, .most = as.live};
  for (const WatchedSpan& span : answer.watched) {
    const uint64_t begin = std::max(span.begin_ns, from_ns), end = std::min(span.end_ns, to_ns);
    if (begin >= end) continue;
    for (size_t i = periods.of(begin); i <= periods.of(end); ++i) add(process.points[i], still);
    add(process.total, still);
  }
}

// When the run began that a sample is of: nothing is carried over from before it.
uint64_t watched_since(const HistoryAnswer& answer, uint64_t ns) {
  for (const WatchedSpan& span : answer.watched)
    if (span.begin_ns <= ns && ns <= span.end_ns) return span.begin_ns;
  return ns;
}

// `samples`: the last one before the time asked for first, if there is one.
void fill(ProcessCounts& process, const std::vector<Sample>& samples, const HistoryAnswer& answer) {
  const Periods periods(answer);
  process.points.resize(periods.count());
  const uint64_t end_ns = std::min(process.ended_ns.value_or(answer.until_ns), answer.until_ns);
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    const bool before = sample.at_ns < answer.since_ns;
    if (!before) {
      add(process.points[periods.of(sample.at_ns)], sample.point);
      add(process.total, sample.point);
    }
    uint64_t next_ns = end_ns;
    if (i + 1 < samples.size()) {
      const Sample& next = samples[i + 1];
      next_ns = next.at_ns - std::min(next.at_ns, next.length_ns);
      if (const uint64_t run_ns = watched_since(answer, next.at_ns); sample.at_ns < run_ns)
        next_ns = std::min(next_ns, run_ns);
    }
    if (sample.point.live > 0 || i + 1 < samples.size())
      carry(process, sample.point, sample.at_ns, next_ns, answer, periods);
  }
}

std::vector<Sample> samples_of(Database& database, int64_t id, const HistoryAnswer& answer) {
  std::vector<Sample> samples;
  // From the last one before on.
  Statement found(database,
                  "SELECT at, length, live, least, most, births, ends, longest FROM sample WHERE process = ?1"
                  " AND at >= coalesce((SELECT max(at) FROM sample WHERE process = ?1 AND at < ?2), 0)"
                  " AND at <= ?3 ORDER BY at");
  found.bind(id).bind(answer.since_ns / kSecondNs).bind(answer.until_ns / kSecondNs);
  while (found.step()) {
    Sample& sample = samples.emplace_back();
    sample.at_ns = found.count(0) * kSecondNs;
    sample.length_ns = found.count(1) * kSecondNs;
    sample.point = {.known = true,
                    .live = found.small(2),
                    .least = found.small(3),
                    .most = found.small(4),
                    .births = found.count(5),
                    .ends = found.count(6),
                    .longest_ns = found.count(7) * kSecondNs};
  }
  return samples;
}

struct Candidate {
  int64_t id = 0;
  uint64_t moves = 0;  // births and ends
  uint32_t most = 0;
};

// Of which there is something in that time.
std::vector<Candidate> candidates(Database& database, const HistoryQuery& query,
                                  const HistoryAnswer& answer) {
  std::string sql =
      "SELECT p.id, coalesce((SELECT sum(births + ends) FROM sample WHERE process = p.id AND at >= ?1), 0),"
      " (SELECT max(most) FROM sample WHERE process = p.id) FROM process p"
      " WHERE (p.ended_ns IS NULL OR p.ended_ns >= ?2) AND p.start_ns <= ?3";
  sql += subject_clause(query, "p.", 4);
  sql += " ORDER BY p.id DESC LIMIT " + std::to_string(kMostCandidates);
  Statement found(database, sql.c_str());
  found.bind(answer.since_ns / kSecondNs).bind(answer.since_ns).bind(answer.until_ns);
  bind_subject(found, query);
  std::vector<Candidate> list;
  while (found.step())
    if (!found.is_null(2)) list.push_back({found.integer(0), found.count(1), found.small(2)});
  std::ranges::stable_sort(list, [](const Candidate& a, const Candidate& b) {
    return std::pair(a.moves, a.most) > std::pair(b.moves, b.most);
  });
  return list;
}

ProcessCounts process_of(Database& database, int64_t id) {
  ProcessCounts process;
  Statement found(database,
                  "SELECT pid, start_boot_ns, boot_id, comm, exe, cgroup, start_ns, ended_ns FROM process"
                  " LEFT JOIN boot ON boot.id = process.boot WHERE process.id = ?");
  if (!found.bind(id).step()) return process;
  process.key = {found.small(0), found.count(1)};
  process.boot_id = found.text(2);
  process.comm = found.text(3);
  process.exe = found.text(4);
  process.cgroup = found.text(5);
  process.start_ns = found.count(6);
  if (!found.is_null(7)) process.ended_ns = found.count(7);
  return process;
}

void answer_counts(Database& database, const HistoryQuery& query, HistoryAnswer& answer) {
  const std::vector<Candidate> all = candidates(database, query, answer);
  for (const Candidate& candidate : all) {
    if (answer.processes.size() == query.limit) break;
    ProcessCounts process = process_of(database, candidate.id);
    fill(process, samples_of(database, candidate.id, answer), answer);
    answer.processes.push_back(std::move(process));
  }
  answer.processes_left_out = all.size() - answer.processes.size();
}

// --- findings ---------------------------------------------------------------------------------------

void answer_lines(Database& database, const HistoryQuery& query, HistoryAnswer& answer) {
  std::string sql =
      "SELECT id, kind, severity, certainty, summary, pid, comm, count, first_ns, last_ns, resolved_ns,"
      " resolution, unwatched FROM finding WHERE (resolved_ns >= ?1 OR (resolved_ns IS NULL AND last_ns >= "
      "?1))"
      " AND first_ns <= ?2";
  sql += subject_clause(query, "", 3);
  sql += " ORDER BY first_ns DESC";
  Statement found(database, sql.c_str());
  found.bind(answer.since_ns).bind(answer.until_ns);
  bind_subject(found, query);
  while (found.step()) {
    if (answer.lines.size() == query.limit) {
      ++answer.findings_left_out;
      continue;
    }
    FindingLine& line = answer.lines.emplace_back();
    line.id = found.text(0);
    line.kind = found.text(1);
    line.severity = found.text(2);
    line.certainty = found.text(3);
    line.summary = found.text(4);
    line.pid = found.small(5);
    line.comm = found.text(6);
    line.count = found.count(7);
    line.first_ns = found.count(8);
    line.last_ns = found.count(9);
    if (!found.is_null(10)) {
      line.resolved_ns = found.count(10);
      line.resolution = found.text(11);
    }
    line.unwatched = found.integer(12) != 0;
  }
}

// The clock of its boot, and who else stands in it.
std::shared_ptr<Snapshot> context_of(const std::vector<NamedThread>& names, int64_t offset_ns) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->wall.offset_ns = offset_ns;
  std::map<uint32_t, ProcessView> processes;
  const auto comm_of = [](const std::string& name) {
    Comm comm;
    name.copy(comm.bytes, sizeof(comm.bytes) - 1);
    return comm;
  };
  for (const NamedThread& named : names) {
    ProcessView& process = processes[named.pid];
    process.key.tid = named.pid;
    if (named.tid == 0) {
      process.comm = comm_of(named.name);
    } else {
      ThreadView& thread = process.threads.emplace_back();
      thread.key.tid = named.tid;
      thread.name = comm_of(named.name);
    }
  }
  for (auto& [pid, process] : processes) snapshot->processes.push_back(std::move(process));
  return snapshot;
}

void answer_findings(Database& database, const HistoryQuery& query, HistoryAnswer& answer) {
  std::string sql =
      "SELECT body, offset_ns, resolved_ns, resolution, unwatched, last_ns, boot_id, first_ns FROM finding"
      " JOIN boot ON boot.id = finding.boot WHERE ";
  sql += query.id ? "finding.id = ?" : "resolved_ns IS NOT NULL";
  if (query.pid) sql += " AND pid = ?";
  sql += " ORDER BY coalesce(resolved_ns, 1 << 62) DESC, first_ns DESC";
  Statement found(database, sql.c_str());
  if (query.id) found.bind(*query.id);
  if (query.pid) found.bind(*query.pid);
  const std::string boot_id = current_boot_id();
  while (found.step()) {
    if (answer.findings.size() == query.limit) {
      ++answer.findings_left_out;
      continue;
    }
    std::optional<EncodedFinding> decoded = decode_finding(found.text(0));
    if (!decoded) {
      ++answer.findings_left_out;
      continue;
    }
    const int64_t offset = found.integer(1);
    KeptFinding& kept = decoded->kept;
    const auto boot_ns = [&](int column) {
      return static_cast<uint64_t>(std::max<int64_t>(1, found.integer(column) - offset));
    };
    kept.first_ns = found.count(7);
    kept.last_boot_ns = boot_ns(5);
    kept.unwatched = found.integer(4) != 0;
    if (!found.is_null(2)) kept.resolved_boot_ns = boot_ns(2);
    // Resolved by the end of its boot, which it did not know.
    if (kept.resolved_boot_ns && kept.resolution == Resolution::none)
      kept.resolution = Resolution::host_restarted;
    answer.findings.push_back(
        {std::move(kept), context_of(decoded->names, offset), found.text(6) == boot_id});
  }
}

}  // namespace

void answer_query(Database& database, const HistoryQuery& query, uint64_t now_ns, HistoryAnswer& answer) {
  if (database.number("PRAGMA user_version") > HistoryFile::kVersion)
    throw DatabaseError{SQLITE_FORMAT, "it was written by a newer loiterd"};
  database.run(
      "PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; BEGIN");  // one moment
  if (query.kind == HistoryQuery::Kind::findings) {
    answer_findings(database, query, answer);
    return;
  }
  answer.until_ns = now_ns;
  answer.since_ns = now_ns - std::min(now_ns, query.since_ns);
  const uint64_t points = std::max<uint64_t>(query.points, 1);
  answer.step_ns = std::max<uint64_t>((answer.until_ns - answer.since_ns + points - 1) / points, kFinestNs);
  answer.watched = watched_spans(database, answer, query.goes_on);
  answer_counts(database, query, answer);
  answer_lines(database, query, answer);
}

}  // namespace loiter

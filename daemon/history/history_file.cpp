#include "daemon/history/history_file.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/history/finding_codec.h"

namespace loiter {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kPage = 4096;
constexpr int64_t kApplication = 0x6c6f6974;  // "loit"

// Measured (tests/bench/history.cpp) on 500 processes of which 50 change each minute: 72,600 rows a day, 1.1
// ms of CPU a minute's write (2.0 ms with what is merged and forgotten), and 0.78 MB a day, since periods
// older than 6 hours are merged; a finding of 32 threads with 16 stacks of 20 frames: 5.5 KB. The daemon
// has 1.5 MB more (PSS 13.1 to 14.7 MB), of which the caches of the two connections may take 1.5 MB.
constexpr const char* kTables = R"(
CREATE TABLE boot(id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE, offset_ns INTEGER NOT NULL);
CREATE TABLE run(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, begin_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL);
CREATE TABLE process(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, pid INTEGER NOT NULL,
  start_boot_ns INTEGER NOT NULL, comm TEXT, exe TEXT, cgroup TEXT, start_ns INTEGER NOT NULL, ended_ns INTEGER,
  UNIQUE(boot, pid, start_boot_ns));
CREATE TABLE sample(process INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL, live INTEGER NOT NULL,
  least INTEGER NOT NULL, most INTEGER NOT NULL, births INTEGER NOT NULL, ends INTEGER NOT NULL,
  longest INTEGER NOT NULL, PRIMARY KEY(process, at)) WITHOUT ROWID;
CREATE TABLE finding(id TEXT NOT NULL, boot INTEGER NOT NULL, first_boot_ns INTEGER NOT NULL,
  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, resolved_ns INTEGER, resolution TEXT, unwatched INTEGER,
  pid INTEGER, comm TEXT, exe TEXT, kind TEXT, severity TEXT, certainty TEXT, count INTEGER, summary TEXT,
  body BLOB NOT NULL, UNIQUE(id, boot, first_boot_ns));
CREATE INDEX finding_by_end ON finding(resolved_ns);
)";

// Older periods are made longer: (older than, length).
constexpr std::pair<uint64_t, uint64_t> kLonger[] = {{6 * 3600 * kSecondNs, 600 * kSecondNs},
                                                     {48 * 3600 * kSecondNs, 3600 * kSecondNs}};
constexpr uint64_t kMergeEveryNs = 600 * kSecondNs;

// What one transaction may change lies in the log until the next checkpoint.
constexpr uint64_t kRowsAtOnce = 2000;
constexpr int64_t kPagesAtOnce = 128;

// Of the size: for the file itself, the rest is for its log.
constexpr uint64_t file_part(uint64_t bytes) {
  return bytes / 4 * 3;
}
constexpr uint64_t checkpoint_bytes(uint64_t bytes) {
  return std::min<uint64_t>(bytes / 16, 4 << 20);
}

uint64_t wall_of(const WallClock& wall, uint64_t boot_ns) {
  const int64_t ns = static_cast<int64_t>(boot_ns) + wall.offset_ns;
  return ns < 0 ? 0 : static_cast<uint64_t>(ns);
}

}  // namespace

std::string current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

// --- opening ----------------------------------------------------------------------------------------

HistoryFile::HistoryFile(const HistoryOptions& options, StateDir dir, std::string boot_id,
                         const WallClock& wall)
    : options_(options), dir_(std::move(dir)), boot_id_(std::move(boot_id)), wall_(wall) {}

Result<std::unique_ptr<HistoryFile>> HistoryFile::open(const HistoryOptions& options,
                                                       const std::string& boot_id, const WallClock& wall,
                                                       std::vector<std::string>& set_aside) {
  Result<StateDir> dir = StateDir::open(options.dir, StateDir::Use::write);
  if (!dir) return dir.error();
  std::unique_ptr<HistoryFile> file(new HistoryFile(options, std::move(*dir), boot_id, wall));
  for (const bool is_first : {true, false}) {
    if (Status prepared = file->dir_.prepare_file(); !prepared) return prepared.error();
    bool is_newer = false;
    try {
      file->database_ = std::make_unique<Database>(file->dir_.file(), Database::Mode::write);
      is_newer = file->database_->number("PRAGMA user_version") > kVersion;
      if (is_newer) throw DatabaseError{SQLITE_FORMAT, "it was written by a newer loiterd"};
      file->set_up();
      return file;
    } catch (const DatabaseError& error) {
      file->database_.reset();
      if (!error.is_damage() || !is_first)
        return Error{Error::Kind::unavailable, file->dir_.file() + " cannot be used: " + error.message};
      Result<std::string> name = file->dir_.set_aside(is_newer ? "newer" : "damaged");
      if (!name) return name.error();
      set_aside.push_back(*name + " (" + error.message + ")");
    }
  }
  return Error{Error::Kind::internal, "not reached"};
}

void HistoryFile::set_up() {
  Database& db = *database_;
  const bool is_new = db.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (is_new) db.run("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL");
  db.run(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;"
      "PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON");
  const auto set = [&](const char* name, uint64_t value) {
    db.run((std::string("PRAGMA ") + name + " = " + std::to_string(value)).c_str());
  };
  set("max_page_count", file_part(options_.most_bytes) / kPage);
  set("wal_autocheckpoint", checkpoint_bytes(options_.most_bytes) / kPage);
  set("journal_size_limit", checkpoint_bytes(options_.most_bytes));
  if (is_new) {
    make_tables();
  } else {
    if (db.number("PRAGMA application_id") != kApplication || db.number("PRAGMA user_version") != kVersion)
      throw DatabaseError{SQLITE_FORMAT, "it is no history of loiterd"};
    Statement check(db, "PRAGMA quick_check(1)");
    if (!check.step() || check.text(0) != "ok") throw DatabaseError{SQLITE_CORRUPT, "its check failed"};
  }
  begin_run();
}

void HistoryFile::make_tables() {
  Transaction transaction(*database_);
  database_->run(kTables);
  database_->run(("PRAGMA application_id = " + std::to_string(kApplication)).c_str());
  database_->run(("PRAGMA user_version = " + std::to_string(kVersion)).c_str());
  transaction.commit();
}

void HistoryFile::begin_run() {
  Transaction transaction(*database_);
  // Who lived when the last run ended may have ended since: who has not is told of again.
  database_->run("UPDATE process SET ended_ns = (SELECT max(seen_ns) FROM run) WHERE ended_ns IS NULL");
  Statement(*database_,
            "INSERT INTO boot(boot_id, offset_ns) VALUES(?, ?) ON CONFLICT DO UPDATE SET offset_ns = ?2")
      .bind(boot_id_)
      .bind(wall_.offset_ns)
      .run();
  Statement boot(*database_, "SELECT id FROM boot WHERE boot_id = ?");
  if (boot.bind(boot_id_).step()) boot_ = boot.integer(0);
  boot.reset();
  const uint64_t now = wall_of(wall_, boottime_now_ns());
  Statement(*database_, "INSERT INTO run(boot, begin_ns, seen_ns) VALUES(?, ?, ?)")
      .bind(boot_)
      .bind(now)
      .bind(now)
      .run();
  run_ = database_->last_id();
  transaction.commit();
}

std::vector<KeptFinding> HistoryFile::take_unresolved() {
  Transaction transaction(*database_);
  const uint64_t booted = wall_of(wall_, 0);
  Statement(*database_,
            "UPDATE finding SET resolved_ns = max(last_ns, ?), resolution = ?, unwatched = 1 "
            "WHERE resolved_ns IS NULL AND boot != ?")
      .bind(booted)
      .bind(std::string_view(to_string(Resolution::host_restarted)))
      .bind(boot_)
      .run();
  std::vector<KeptFinding> list;
  std::vector<int64_t> useless;
  {
    Statement found(
        *database_,
        "SELECT rowid, body, last_ns, first_ns FROM finding WHERE resolved_ns IS NULL ORDER BY first_ns");
    while (found.step()) {
      std::optional<EncodedFinding> decoded = decode_finding(found.text(1));
      const bool again = decoded && std::ranges::any_of(list, [&](const KeptFinding& kept) {
                           return kept.finding.id == decoded->kept.finding.id;
                         });
      if (!decoded || again) {
        useless.push_back(found.integer(0));
        continue;
      }
      KeptFinding& kept = decoded->kept;
      kept.first_ns = found.count(3);
      const int64_t last = found.integer(2) - wall_.offset_ns;
      kept.last_boot_ns = std::max<uint64_t>(kept.last_boot_ns, last < 0 ? 0 : static_cast<uint64_t>(last));
      kept.last_boot_ns = std::min(kept.last_boot_ns, boottime_now_ns());
      list.push_back(std::move(kept));
    }
  }
  for (const int64_t row : useless)
    Statement(*database_, "DELETE FROM finding WHERE rowid = ?").bind(row).run();
  transaction.commit();
  return list;
}

// --- writing ----------------------------------------------------------------------------------------

void HistoryFile::write(const std::vector<FindingNote>& notes) {
  Transaction transaction(*database_);
  for (const FindingNote& note : notes) write_finding(*note.kept, note.names, note.wall);
  transaction.commit();
}

void HistoryFile::write_finding(const KeptFinding& kept, const std::vector<NamedThread>& names,
                                const WallClock& wall) {
  const Finding& finding = kept.finding;
  std::optional<uint64_t> resolved;
  if (kept.resolved_boot_ns) resolved = wall_of(wall, kept.resolved_boot_ns);
  Statement(
      *database_,
      "INSERT INTO finding(id, boot, first_boot_ns, first_ns, last_ns, resolved_ns, resolution, unwatched,"
      " pid, comm, exe, kind, severity, certainty, count, summary, body)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT DO UPDATE SET last_ns = ?5, resolved_ns = ?6, resolution = ?7, unwatched = ?8,"
      " comm = ?10, exe = ?11, severity = ?13, certainty = ?14, count = ?15, summary = ?16, body = ?17")
      .bind(finding.id)
      .bind(boot_)
      .bind(kept.first_boot_ns)
      .bind(wall_of(wall, kept.first_boot_ns))
      .bind(wall_of(wall, kept.last_boot_ns))
      .bind(resolved)
      .bind(std::string_view(to_string(kept.resolution)))
      .bind(uint32_t{kept.unwatched})
      .bind(finding.process.key.tid)
      .bind(to_valid_utf8(finding.process.comm))
      .bind(to_valid_utf8(finding.process.exe))
      .bind(std::string_view(to_string(finding.kind)))
      .bind(std::string_view(to_string(finding.severity)))
      .bind(std::string_view(to_string(finding.certainty)))
      .bind(finding.count)
      .bind(to_valid_utf8(finding.summary))
      .bind_bytes(encode_finding(kept, names))
      .run();
}

// That it lasts. One that could not be written when it was raised is written now.
void HistoryFile::touch_finding(const KeptFinding& kept, const WallClock& wall) {
  Statement(*database_, "UPDATE finding SET last_ns = ? WHERE id = ? AND boot = ? AND first_boot_ns = ?")
      .bind(wall_of(wall, kept.last_boot_ns))
      .bind(kept.finding.id)
      .bind(boot_)
      .bind(kept.first_boot_ns)
      .run();
  if (database_->changes() == 0) write_finding(kept, {}, wall);
}

int64_t HistoryFile::process_of(const CountRow& row, uint64_t now_ns) {
  std::optional<uint64_t> ended;
  if (row.process_ended) ended = now_ns;
  Statement statement(
      *database_,
      "INSERT INTO process(boot, pid, start_boot_ns, comm, exe, cgroup, start_ns, ended_ns)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT DO UPDATE SET comm = ?4, exe = ?5, cgroup = ?6, ended_ns = ?8 RETURNING id");
  statement.bind(boot_)
      .bind(row.process.tid)
      .bind(row.process.start_boot_ns)
      .bind(to_valid_utf8(row.comm))
      .bind(to_valid_utf8(row.exe))
      .bind(to_valid_utf8(row.cgroup))
      .bind(wall_of(wall_, row.process.start_boot_ns))
      .bind(ended);
  const int64_t id = statement.step() ? statement.integer(0) : 0;
  statement.run();
  return id;
}

void HistoryFile::write(const CountBatch& batch) {
  wall_ = batch.wall;
  const uint64_t now = wall_of(wall_, batch.end_boot_ns);
  Transaction transaction(*database_);
  Statement sample(*database_, "INSERT OR REPLACE INTO sample VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const CountRow& row : batch.rows) {
    sample.bind(process_of(row, now))
        .bind(now / kSecondNs)
        .bind((batch.length_ns + kSecondNs / 2) / kSecondNs)
        .bind(row.live)
        .bind(row.least)
        .bind(row.most)
        .bind(row.births)
        .bind(row.ends)
        .bind(row.longest_ns / kSecondNs)
        .run();
  }
  for (const KeptFindingPtr& kept : batch.live) touch_finding(*kept, wall_);
  Statement(*database_, "UPDATE run SET seen_ns = ? WHERE id = ?").bind(now).bind(run_).run();
  Statement(*database_, "UPDATE boot SET offset_ns = ? WHERE id = ?").bind(wall_.offset_ns).bind(boot_).run();
  transaction.commit();
}

void HistoryFile::end_run(uint64_t now_ns) {
  Statement(*database_, "UPDATE run SET seen_ns = max(seen_ns, ?) WHERE id = ?")
      .bind(now_ns)
      .bind(run_)
      .run();
}

Result<std::string> HistoryFile::set_aside(const std::string& why) {
  database_.reset();
  return dir_.set_aside(why);
}

// --- bounds -----------------------------------------------------------------------------------------

uint64_t HistoryFile::oldest_ns() {
  const int64_t run = database_->number("SELECT min(begin_ns) FROM run");
  return run < 0 ? 0 : static_cast<uint64_t>(run);
}

bool HistoryFile::is_too_large() {
  const int64_t pages = database_->number("PRAGMA page_count") - database_->number("PRAGMA freelist_count");
  return static_cast<uint64_t>(pages) * kPage > file_part(options_.most_bytes) / 10 * 9;
}

// Of a process that lives on, the last row before that time stays: it says how many threads it had then.
void HistoryFile::forget_before(uint64_t ns) {
  std::vector<int64_t> processes;
  {
    Statement all(*database_, "SELECT id FROM process");
    while (all.step()) processes.push_back(all.integer(0));
  }
  for (auto next = processes.begin(); next != processes.end();) {
    Transaction transaction(*database_);
    Statement samples(*database_,
                      "DELETE FROM sample WHERE process = ?1 AND at < iif("
                      "(SELECT ended_ns < ?3 FROM process WHERE id = ?1), ?2,"
                      " (SELECT max(at) FROM sample WHERE process = ?1 AND at < ?2))");
    for (uint64_t rows = 0; next != processes.end() && rows < kRowsAtOnce; ++next) {
      samples.bind(*next).bind(ns / kSecondNs).bind(ns).run();
      rows += database_->changes() + 1;
    }
    transaction.commit();
  }
  Transaction transaction(*database_);
  const auto forget = [&](const char* sql) { Statement(*database_, sql).bind(ns).run(); };
  forget("DELETE FROM process WHERE ended_ns < ? AND id NOT IN (SELECT process FROM sample)");
  forget("DELETE FROM finding WHERE resolved_ns < ?");
  forget("DELETE FROM run WHERE seen_ns < ?");
  forget("UPDATE run SET begin_ns = ?1 WHERE begin_ns < ?1");
  database_->run(
      "DELETE FROM boot WHERE id NOT IN (SELECT boot FROM run) AND id NOT IN (SELECT boot FROM process)"
      " AND id NOT IN (SELECT boot FROM finding)");
  transaction.commit();
  give_back_pages();
}

void HistoryFile::give_back_pages() {
  for (int64_t left = database_->number("PRAGMA freelist_count"); left > 0; left -= kPagesAtOnce)
    database_->run(("PRAGMA incremental_vacuum(" + std::to_string(kPagesAtOnce) + ")").c_str());
}

void HistoryFile::merge_periods(uint64_t before_ns, uint64_t length_ns) {
  const uint64_t length = length_ns / kSecondNs;
  const uint64_t before = before_ns / length_ns * length;  // whole periods only
  Transaction transaction(*database_);
  // `live` is that of the row which max(at) is of.
  Statement(
      *database_,
      "CREATE TEMP TABLE merged AS SELECT process, max(at), ?1, live, min(least), max(most), sum(births),"
      " sum(ends), max(longest) FROM sample WHERE at <= ?2 AND length < ?1"
      " GROUP BY process, (at - 1) / ?1")
      .bind(length)
      .bind(before)
      .run();
  Statement(*database_, "DELETE FROM sample WHERE at <= ? AND length < ?").bind(before).bind(length).run();
  database_->run("INSERT OR REPLACE INTO sample SELECT * FROM merged; DROP TABLE merged");
  transaction.commit();
}

void HistoryFile::tidy(uint64_t now_ns) {
  if (now_ns - std::min(now_ns, merged_ns_) >= kMergeEveryNs || merged_ns_ > now_ns) {
    merged_ns_ = now_ns;
    forget_before(now_ns - std::min(now_ns, options_.keep_ns));
    for (const auto& [age, length] : kLonger)
      if (now_ns > age) merge_periods(now_ns - age, length);
  }
  // A sixteenth of the time after the other goes, until it fits.
  uint64_t oldest = 0;
  for (uint64_t part = 1; part <= 16 && is_too_large(); ++part) {
    if (part == 1) oldest = oldest_kept_ns();
    if (oldest == 0 || oldest > now_ns) break;
    forget_before(oldest + (now_ns - oldest) / 16 * part);
  }
}

void HistoryFile::make_room(uint64_t now_ns) {
  database_->run("PRAGMA wal_checkpoint(TRUNCATE)");
  tidy(now_ns);
}

uint64_t HistoryFile::oldest_kept_ns() {
  const auto sample = static_cast<uint64_t>(database_->number("SELECT min(at) FROM sample")) * kSecondNs;
  const auto finding = static_cast<uint64_t>(
      database_->number("SELECT min(resolved_ns) FROM finding WHERE resolved_ns IS NOT NULL"));
  return sample && finding ? std::min(sample, finding) : std::max(sample, finding);
}

}  // namespace loiter

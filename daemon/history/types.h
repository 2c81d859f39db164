// What the history keeps, and what is asked of it: plain values, any thread.
//
// Times are wall times in nanoseconds since 1970 where they are called `…_ns`, since they have to be told of
// boots that are over; those called `…_boot_ns` are of the boot that a value belongs to. Strings are bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/detect/finding_book.h"
#include "daemon/model/snapshot.h"

namespace loiter {

struct HistoryOptions {
  std::string dir;
  uint64_t keep_ns = 0;
  uint64_t most_bytes = 0;  // the file and its write-ahead log
};

// --- what is written -------------------------------------------------------------------------------

// The threads of one process in one period.
struct CountRow {
  TaskKey process;
  std::string comm = {}, exe = {}, cgroup = {};
  uint32_t live = 0;        // at its end
  uint32_t least = 0;       // seen by a census…
  uint32_t most = 0;        // … in it
  uint64_t births = 0;      // as far as they were seen
  uint64_t ends = 0;        // likewise
  uint64_t longest_ns = 0;  // that a thread had been blocked at its end
  bool process_ended = false;
};

struct CountBatch {
  uint64_t end_boot_ns = 0;
  uint64_t length_ns = 0;
  WallClock wall;
  std::vector<CountRow> rows = {};
  std::vector<KeptFindingPtr> live = {};  // findings that lasted at its end
};

// Who stands in a finding by number alone, in other processes, has a name as long as it lives.
struct NamedThread {
  uint32_t pid = 0;
  uint32_t tid = 0;  // 0: the process
  std::string name = {};
};

struct FindingNote {
  KeptFindingPtr kept;
  WallClock wall;
  std::vector<NamedThread> names;
};

// --- what is asked ---------------------------------------------------------------------------------

struct HistoryQuery {
  enum class Kind : uint8_t { counts, findings } kind = Kind::counts;
  // counts: of this process, or of those of that name (comm, or the last part of exe); neither: of all
  std::optional<uint32_t> pid = {};
  std::optional<std::string> name = {};
  uint64_t since_ns = 0;  // a length: so long ago
  size_t points = 0;      // periods that the time is cut into
  size_t limit = 0;       // processes, and findings, no more
  bool goes_on = false;   // the last run is that of this daemon, which watches still
  // findings: of that id, or the last ones that are resolved
  std::optional<std::string> id = {};
};

// A stretch of time in which the daemon ran.
struct WatchedSpan {
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
};

struct CountPoint {
  bool known = false;  // false: nobody watched, or it did not live
  uint32_t live = 0, least = 0, most = 0;
  uint64_t births = 0, ends = 0;
  uint64_t longest_ns = 0;
};

struct ProcessCounts {
  TaskKey key;
  std::string boot_id = {};
  std::string comm = {}, exe = {}, cgroup = {};
  uint64_t start_ns = 0;
  std::optional<uint64_t> ended_ns = {};  // by then
  CountPoint total = {};                  // of all the time
  std::vector<CountPoint> points = {};    // as many as the answer has
};

// A finding without its threads and stacks.
struct FindingLine {
  std::string id, kind, severity, certainty, summary;
  uint32_t pid = 0;
  std::string comm = {};
  uint64_t count = 0;
  uint64_t first_ns = 0, last_ns = 0;
  std::optional<uint64_t> resolved_ns = {};
  std::string resolution = {};
  bool unwatched = false;  // it was gone at some time from last_ns to resolved_ns
};

// A whole one. `snapshot` has the clock of its boot, and the names of who else stands in it.
struct StoredFinding {
  KeptFinding kept;
  SnapshotPtr snapshot;
  bool of_this_boot = false;
};

struct HistoryAnswer {
  std::string failure = {};  // why there is none; empty: there is one
  uint64_t since_ns = 0, until_ns = 0;
  uint64_t step_ns = 0;                       // of a point
  std::vector<WatchedSpan> watched = {};      // in order, none overlaps
  std::vector<ProcessCounts> processes = {};  // who changed most first
  size_t processes_left_out = 0;
  std::vector<FindingLine> lines = {};  // the last one raised first
  std::vector<StoredFinding> findings = {};
  size_t findings_left_out = 0;
};
using HistoryAnswerPtr = std::shared_ptr<const HistoryAnswer>;

// How the history is.
struct HistoryStatus {
  enum class State : uint8_t {
    off,      // not wanted
    opening,  // not open yet
    writing,
    failing,  // `failure` says why; it is tried again
    reading,  // an earlier one is read, and none is written: of a private daemon
  } state = State::off;
  std::string dir = {};
  std::string failure = {};
  uint64_t keep_ns = 0, most_bytes = 0;
  uint64_t bytes = 0;                       // on the disk
  uint64_t oldest_ns = 0;                   // of what is kept; 0: nothing is
  uint64_t findings = 0, rows = 0;          // written by this run
  uint64_t failed = 0;                      // writes that did not succeed, tried again or not
  uint64_t dropped_findings = 0;            // changes of findings
  uint64_t dropped_counts = 0;              // periods
  std::vector<std::string> set_aside = {};  // files, by name: damaged, or of a newer version
};
const char* to_string(HistoryStatus::State state);  // the word in the API

}  // namespace loiter

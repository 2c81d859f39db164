// The file of the history: opened with care, written in batches, kept within its bounds of age and size.
//
// SQLite in WAL mode with synchronous=NORMAL: what was written survives the end of the daemon in any way; of
// a crash of the host or a power cut it survives whole, but for the last minutes, since only checkpoints
// (each 1/16 of the size, 4 MB at most) wait for the disk (fsync).
//
// Owned and used by the thread that writes. Errors are thrown as DatabaseError: nothing of the batch is
// written then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/history/database.h"
#include "daemon/history/state_dir.h"
#include "daemon/history/types.h"

namespace loiter {

// The boot that this is: /proc/sys/kernel/random/boot_id.
std::string current_boot_id();

class HistoryFile {
 public:
  static constexpr int kVersion = 1;

  // Opens what is there, or makes it. A file that is damaged or of a newer version is set aside: its new name
  // is in `set_aside` then.
  static Result<std::unique_ptr<HistoryFile>> open(const HistoryOptions& options, const std::string& boot_id,
                                                   const WallClock& wall,
                                                   std::vector<std::string>& set_aside);

  // Unresolved findings of this boot, from earlier runs. Those of other boots are resolved herewith.
  std::vector<KeptFinding> take_unresolved();

  // In one transaction.
  void write(const std::vector<FindingNote>& notes);
  void write(const CountBatch& batch);

  // After SQLITE_FULL, of whatever reason: the log is given back, and what tidy() can.
  void make_room(uint64_t now_ns);

  // Forgets what is too old, makes of old periods longer ones, and keeps within the size.
  void tidy(uint64_t now_ns);

  // This run ends in good order.
  void end_run(uint64_t now_ns);
  // Of no use any more but to be closed.
  Result<std::string> set_aside(const std::string& why);

  uint64_t bytes() const { return dir_.bytes(); }
  uint64_t oldest_ns();

 private:
  HistoryFile(const HistoryOptions& options, StateDir dir, std::string boot_id, const WallClock& wall);
  void set_up();
  void make_tables();
  void begin_run();
  void write_finding(const KeptFinding& kept, const std::vector<NamedThread>& names, const WallClock& wall);
  void touch_finding(const KeptFinding& kept, const WallClock& wall);
  int64_t process_of(const CountRow& row, uint64_t now_ns);
  void forget_before(uint64_t ns);
  void give_back_pages();
  uint64_t oldest_kept_ns();
  void merge_periods(uint64_t before_ns, uint64_t length_ns);
  bool is_too_large();

  HistoryOptions options_;
  StateDir dir_;
  std::string boot_id_;
  WallClock wall_;
  std::unique_ptr<Database> database_;
  int64_t boot_ = 0, run_ = 0;
  uint64_t merged_ns_ = 0;  // when periods were merged last
};

}  // namespace loiter

// Which finding each thread and each process of a host is marked with: the worst of those that concern it.
//
// Made by the thread that judges, once a verdict; immutable from then on, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/detect/finding_book.h"
#include "daemon/model/snapshot.h"
#include "daemon/model/task_key.h"

namespace loiter {

class FindingMarks {
 public:
  FindingMarks() = default;
  // `ranked`: those that last, the worst first; `book` has who else they concern. A process is marked where a
  // finding is of it, and where one concerns a thread of it, as `snapshot` has the process.
  FindingMarks(std::vector<KeptFindingPtr> ranked, const FindingBook& book, const Snapshot& snapshot);

  // Null: none concerns it, or only another one with the same number. Good as long as this.
  const Finding* of_thread(const TaskKey& thread) const { return find(threads_, thread); }
  const Finding* of_process(const TaskKey& process) const { return find(processes_, process); }

  size_t bytes() const { return (threads_.capacity() + processes_.capacity()) * sizeof(Mark); }

 private:
  struct Mark {
    uint32_t tid = 0;
    uint32_t finding = 0;  // of findings_: the lower, the worse
    uint64_t start_boot_ns = 0;
  };
  static_assert(sizeof(Mark) == 16);
  static void keep_worst(std::vector<Mark>& marks);
  const Finding* find(const std::vector<Mark>& marks, const TaskKey& key) const;

  std::vector<KeptFindingPtr> findings_;
  std::vector<Mark> threads_, processes_;  // by tid and start, one for each
};

}  // namespace loiter

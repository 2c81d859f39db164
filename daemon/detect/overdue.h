// Which threads are blocked past the threshold. Being overdue is a mark; only --strict makes findings of it.
//
// Pure functions over one snapshot, any thread; the pointers they give are good as long as the snapshot is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/detect/finding.h"
#include "daemon/model/snapshot.h"

namespace loiter {

// Certainly blocked for `threshold_ns` or more. Kernel threads rest most of their lives: of them only those
// that wait uninterruptibly count.
bool is_overdue(const ProcessView& process, const ThreadView& thread, uint64_t threshold_ns);

struct OverdueThread {
  const ProcessView* process = nullptr;
  const ThreadView* thread = nullptr;
};

// The overdue threads of the host, or of process `pid`; the longest blocked first.
std::vector<OverdueThread> find_overdue(const Snapshot& snapshot, uint64_t threshold_ns,
                                        std::optional<uint32_t> pid);

// One finding of kind `overdue` for each.
std::vector<Finding> overdue_findings(const std::vector<OverdueThread>& overdue, uint64_t threshold_ns);

// Blocked threads whose age is only known since the daemon saw them first, and so may be overdue unseen.
size_t count_undated(const Snapshot& snapshot, uint64_t threshold_ns, std::optional<uint32_t> pid);

}  // namespace loiter

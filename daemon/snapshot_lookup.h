// Tells the inspector of the host around a process, from the newest snapshot.
//
// Any thread.
#pragma once

#include "daemon/inspect/host_lookup.h"
#include "daemon/serve/picture.h"

namespace loiter {

class SnapshotLookup : public HostLookup {
 public:
  explicit SnapshotLookup(const Board& board) : board_(board) {}
  std::optional<HostProcess> process(uint32_t pid) const override;
  std::vector<HostProcess> children(uint32_t pid) const override;
  std::vector<HostProcess> processes() const override;
  std::optional<HostThreads> threads(uint32_t pid) const override;
  std::optional<uint32_t> process_of_thread(uint32_t tid) const override;

 private:
  const Board& board_;
};

}  // namespace loiter

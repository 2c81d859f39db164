// The slots that the event programs put slices of creators' stacks into (bpf/slices.h).
//
// A slot belongs to whoever has the birth that names it, until that one gives it back: any thread, without a
// lock. What is given back is wiped.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "bpf/records.h"
#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter {

class Slices {
 public:
  // Makes the groups of slots, and puts all slots on the stack of free ones. The descriptors stay the
  // caller's; `in_use` is the programs' count, and lives as long as this is used.
  static Result<std::shared_ptr<Slices>> open(int slices_fd, int free_fd, uint32_t* in_use);
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  // `slot`: below LOITER_SLICES. What is in it was read from a process that is not trusted, and may hold
  // secrets: the caller wipes `slice`. An empty one where the kernel does not give it, which is logged.
  void read(uint32_t slot, loiter_slice& slice) const;
  void give_back(uint32_t slot);

  uint64_t bytes() const;  // of all groups, as the kernel accounts them

 private:
  Slices() = default;
  std::array<Fd, LOITER_SLICE_GROUPS> groups_;
  Fd free_;
  uint32_t* in_use_ = nullptr;
};

}  // namespace loiter

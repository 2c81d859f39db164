// The slots that the event programs put slices of creators' stacks into (bpf/slices.h), mapped.
//
// A slot belongs to whoever has the birth that names it, until that one gives it back: any thread, without a
// lock. What is given back is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bpf/records.h"
#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter {

class Slices {
 public:
  // Maps the array and puts all of its slots on the stack of free ones. The descriptors stay the caller's;
  // `in_use` is the programs' count, and lives as long as this is used.
  static Result<std::shared_ptr<Slices>> open(int slices_fd, int free_fd, uint32_t* in_use);
  ~Slices();
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  // `slot`: below LOITER_SLICES. What is in it was read from a process that is not trusted.
  const loiter_slice& at(uint32_t slot) const;
  void give_back(uint32_t slot);

 private:
  Slices() = default;
  std::byte* data_ = nullptr;
  Fd free_;
  uint32_t* in_use_ = nullptr;
};

}  // namespace loiter

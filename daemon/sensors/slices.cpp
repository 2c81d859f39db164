#include "daemon/sensors/slices.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <string.h>

#include <cerrno>

#include "daemon/sensors/bpf.h"

namespace loiter {

Result<std::shared_ptr<Slices>> Slices::open(int slices_fd, int free_fd, uint32_t* in_use) {
  std::shared_ptr<Slices> slices(new Slices);
  for (uint32_t i = 0; i < LOITER_SLICE_GROUPS; ++i) {
    const int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "slice_group", sizeof(uint32_t), sizeof(loiter_slice),
                                  LOITER_SLICE_GROUP, nullptr);
    if (fd < 0) return bpf_error("cannot make slots for slices of stacks", errno);
    slices->groups_[i] = Fd(fd);
    if (bpf_map_update_elem(slices_fd, &i, &fd, BPF_ANY))
      return bpf_error("cannot hand over slots for slices of stacks", errno);
  }
  slices->in_use_ = in_use;
  slices->free_ = Fd(fcntl(free_fd, F_DUPFD_CLOEXEC, 0));
  for (uint32_t slot = 0; slot < LOITER_SLICES; ++slot)
    if (bpf_map_update_elem(slices->free_.get(), nullptr, &slot, BPF_ANY))
      return bpf_error("cannot offer slots for slices of stacks", errno);
  return slices;
}

void Slices::read(uint32_t slot, loiter_slice& slice) const {
  const uint32_t within = slot % LOITER_SLICE_GROUP;
  if (bpf_map_lookup_elem(groups_[slot / LOITER_SLICE_GROUP].get(), &within, &slice) == 0) return;
  spdlog::warn("a slice of a stack cannot be read: {}", strerror(errno));
  slice = {};
}

void Slices::give_back(uint32_t slot) {
  static constexpr loiter_slice kWiped = {};
  const uint32_t within = slot % LOITER_SLICE_GROUP;
  if (bpf_map_update_elem(groups_[slot / LOITER_SLICE_GROUP].get(), &within, &kWiped, BPF_ANY) ||
      bpf_map_update_elem(free_.get(), nullptr, &slot, BPF_ANY))
    spdlog::warn("a slot for slices of stacks is lost: {}", strerror(errno));
  else
    __atomic_fetch_sub(in_use_, 1, __ATOMIC_RELAXED);
}

uint64_t Slices::bytes() const {
  return LOITER_SLICE_GROUPS * map_bytes(groups_.front().get());  // they are alike
}

}  // namespace loiter

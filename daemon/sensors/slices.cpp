#include "daemon/sensors/slices.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "daemon/sensors/bpf.h"

namespace loiter {
namespace {

static_assert(sizeof(loiter_slice) % 8 == 0, "elements of a BPF array lie 8 bytes apart or a multiple");
constexpr size_t kBytes = sizeof(loiter_slice) * LOITER_SLICES;  // the kernel rounds up to pages

}  // namespace

Result<std::shared_ptr<Slices>> Slices::open(int slices_fd, int free_fd, uint32_t* in_use) {
  std::shared_ptr<Slices> slices(new Slices);
  void* data = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, slices_fd, 0);
  if (data == MAP_FAILED) return bpf_error("cannot map the slices of stacks", errno);
  slices->data_ = static_cast<std::byte*>(data);
  slices->in_use_ = in_use;
  slices->free_ = Fd(fcntl(free_fd, F_DUPFD_CLOEXEC, 0));
  for (uint32_t slot = 0; slot < LOITER_SLICES; ++slot)
    if (bpf_map_update_elem(slices->free_.get(), nullptr, &slot, BPF_ANY))
      return bpf_error("cannot offer slots for slices of stacks", errno);
  return slices;
}

Slices::~Slices() {
  if (data_) munmap(data_, kBytes);
}

const loiter_slice& Slices::at(uint32_t slot) const {
  return *reinterpret_cast<const loiter_slice*>(data_ + slot * sizeof(loiter_slice));
}

void Slices::give_back(uint32_t slot) {
  auto* slice = reinterpret_cast<loiter_slice*>(data_ + slot * sizeof(loiter_slice));
  // A part of the second page may have been read before it turned out not to be all there: the kernel clears
  // that itself.
  const size_t used = std::min<size_t>(slice->size, LOITER_SLICE_BYTES);
  explicit_bzero(slice, offsetof(loiter_slice, stack) + used);
  if (bpf_map_update_elem(free_.get(), nullptr, &slot, BPF_ANY))
    spdlog::warn("a slot for slices of stacks is lost: {}", strerror(errno));
  else
    __atomic_fetch_sub(in_use_, 1, __ATOMIC_RELAXED);
}

}  // namespace loiter

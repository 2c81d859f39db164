#include "daemon/inspect/stack_taker.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

namespace loiter {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kRedZone = 128;  // x86-64 ABI: a leaf may use so much below its stack pointer

// Most blocked threads have all of their frames in the first 8 KiB; deeper ones are asked for again. For the
// innermost frames alone one page does.
constexpr uint64_t kFirstBytes = 8192;
constexpr uint64_t kFewBytes = 2048;
constexpr uint64_t kGrowth = 8;
constexpr uint64_t kMaxBytes = 16 << 20;  // of one stack: twice the default limit of a main thread's
constexpr uint64_t kBatchBytes = SharedMemory::kSize - SharedMemory::kReserved;

// Makes of two replies one: `from`'s stacks go where `indices` says, its places behind those of `to`.
void merge(UnwindReply& to, UnwindReply from, std::span<const size_t> indices) {
  auto base = static_cast<uint32_t>(to.places.size());
  std::move(from.places.begin(), from.places.end(), std::back_inserter(to.places));
  for (size_t i = 0; i < from.stacks.size(); ++i) {
    for (uint32_t& place : from.stacks[i].places) place += base;
    to.stacks[indices[i]] = std::move(from.stacks[i]);
  }
}

}  // namespace

std::vector<StackTaker::Slice> StackTaker::first_slices(const StackWish& wish,
                                                        const std::vector<Mapping>& mappings,
                                                        std::span<const loiter_regs* const> regs) const {
  std::vector<Slice> slices;
  for (size_t i = 0; i < regs.size(); ++i) {
    uint64_t sp = regs[i]->sp;
    Slice& slice = slices.emplace_back();
    slice.index = i;
    slice.start = sp > kRedZone ? sp - kRedZone : sp;
    const Mapping* mapping = find_mapping(mappings, sp);
    if (!mapping || !mapping->readable) {
      slice.end = slice.limit = slice.start;
      continue;
    }
    slice.start = std::max(slice.start, mapping->start);
    slice.limit = mapping->end;
    slice.end = std::min(slice.start + (wish.whole ? kFirstBytes : kFewBytes), slice.limit);
  }
  return slices;
}

Result<UnwindReply> StackTaker::unwind(const StackWish& wish, const std::vector<Mapping>& mappings,
                                       std::span<const SharedJob> jobs) {
  Error last;
  for (bool with_lines : {wish.with_lines, false}) {
    UnwindRequest request{.mappings = modules_.resolve(wish.pid, mappings),
                          .perf_map = wish.perf_map,
                          .jobs = {},
                          .with_lines = with_lines,
                          .with_slots = !wish.whole,
                          .addresses = wish.addresses};
    auto reply = parser_.unwind(request, jobs);
    if (reply) return reply;
    last = reply.error();
  }
  return last;
}

Result<UnwindReply> StackTaker::take_batch(const StackWish& wish, const std::vector<Mapping>& mappings,
                                           std::span<const loiter_regs* const> regs,
                                           std::span<const Slice> batch) {
  std::vector<MemoryPiece> pieces;
  uint64_t place = 0;
  for (const Slice& slice : batch) {
    auto size = static_cast<uint32_t>(slice.end - slice.start);
    pieces.push_back({slice.start, size, 0, place});
    place += (size + 15) & ~15ULL;
    auto other_size = static_cast<uint32_t>(slice.other_end - slice.other_start);
    pieces.push_back({slice.other_start, other_size, 0, place});
    place += (other_size + 15) & ~15ULL;
  }
  if (Status read = opener_.read_memory(wish.pid, pieces); !read) return read.error();
  std::vector<SharedJob> jobs;
  for (size_t i = 0; i < batch.size(); ++i) {
    const MemoryPiece& main = pieces[2 * i];
    const MemoryPiece& other = pieces[2 * i + 1];
    bool whole = batch[i].end == batch[i].limit || main.got < main.size;
    jobs.push_back({*regs[batch[i].index], main.address, main.place, main.got, whole, other.address,
                    other.place, other.got});
  }
  auto reply = unwind(wish, mappings, jobs);
  memory_.wipe(place);
  return reply;
}

bool StackTaker::grow(Slice& slice, const Stack& stack, const std::vector<Mapping>& mappings) {
  uint64_t size = slice.end - slice.start;
  if (stack.cut == Cut::needs_memory && slice.end < slice.limit && size < kMaxBytes) {
    uint64_t wanted = std::max(size * kGrowth, stack.wanted_end - slice.start);
    slice.end = std::min(slice.start + std::min(wanted, kMaxBytes), slice.limit);
    return true;
  }
  const Mapping* other = find_mapping(mappings, stack.wanted_start);
  if (stack.cut != Cut::no_memory || !other || !other->readable) return false;
  if (slice.other_start == 0) {
    slice.other_start = stack.wanted_start;
    slice.other_end = std::min(slice.other_start + kFirstBytes * kGrowth, other->end);
    return true;
  }
  // Once more where the second one is deep.
  uint64_t end = std::min(slice.other_start + kMaxBytes, other->end);
  bool deeper = stack.wanted_start >= slice.other_start && stack.wanted_start < end && slice.other_end < end;
  if (deeper) slice.other_end = end;
  return deeper;
}

Result<UnwindReply> StackTaker::take(const StackWish& wish, const std::vector<Mapping>& mappings,
                                     std::span<const loiter_regs* const> regs) {
  UnwindReply all;
  all.stacks.resize(regs.size());
  std::vector<Slice> todo = first_slices(wish, mappings, regs);
  while (!todo.empty()) {
    std::vector<Slice> batch, later;
    uint64_t bytes = 0;
    for (Slice& slice : todo) {
      uint64_t size = slice.end - slice.start + (slice.other_end - slice.other_start) + kPage;
      if (bytes + size <= kBatchBytes) {
        bytes += size;
        batch.push_back(slice);
      } else {
        later.push_back(slice);
      }
    }
    auto reply = take_batch(wish, mappings, regs, batch);
    if (!reply) return reply;
    std::vector<size_t> indices;
    for (size_t i = 0; i < batch.size(); ++i) {
      indices.push_back(batch[i].index);
      Slice more = batch[i];
      if (wish.whole && grow(more, reply->stacks[i], mappings)) later.push_back(more);
    }
    merge(all, std::move(*reply), indices);
    todo = std::move(later);
  }
  return all;
}

}  // namespace loiter

#include "daemon/sensors/census_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "census.skel.h"
#include "daemon/base/fd.h"

namespace loiter {

// Takes one whole item from the front; 0: there is none. Its first word tells what it is (bpf/records.h).
size_t CensusParser::take(const std::byte* data, size_t size) {
  uint32_t magic = 0;
  if (size < sizeof(magic)) return 0;
  std::memcpy(&magic, data, sizeof(magic));
  if (magic == LOITER_CENSUS_MAGIC) {
    if (size < sizeof(loiter_census_mark)) return 0;
    std::memcpy(state_ == State::begin ? &census_.begin : &census_.end, data, sizeof(loiter_census_mark));
    state_ = state_ == State::begin ? State::threads : State::done;
    return sizeof(loiter_census_mark);
  }
  if (magic == LOITER_STILL_MAGIC) {
    if (size < sizeof(loiter_still)) return 0;
    std::memcpy(&census_.still.emplace_back(), data, sizeof(loiter_still));
    return sizeof(loiter_still);
  }
  if (size < sizeof(loiter_thread)) return 0;
  loiter_thread& thread = census_.threads.emplace_back();
  std::memcpy(&thread, data, sizeof(thread));
  return sizeof(thread);
}

bool CensusParser::feed(const std::byte* data, size_t size) {
  if (!partial_.empty()) {
    partial_.insert(partial_.end(), data, data + size);
    std::vector<std::byte> joined;
    joined.swap(partial_);
    return feed(joined.data(), joined.size());
  }
  while (size > 0) {
    if (state_ == State::done) return false;
    if (state_ == State::begin && size >= sizeof(uint32_t)) {
      uint32_t magic = 0;
      std::memcpy(&magic, data, sizeof(magic));
      if (magic != LOITER_CENSUS_MAGIC) return false;
    }
    size_t taken = take(data, size);
    if (taken == 0) {
      partial_.assign(data, data + size);
      return true;
    }
    data += taken;
    size -= taken;
  }
  return true;
}

void CensusReader::Destroy::operator()(census_bpf* skeleton) const {
  census_bpf::destroy(skeleton);
}

CensusReader::~CensusReader() = default;

Result<std::unique_ptr<CensusReader>> CensusReader::open(const Options& options) {
  std::unique_ptr<CensusReader> reader(new CensusReader(options));
  reader->skeleton_.reset(census_bpf::open(nullptr));
  if (!reader->skeleton_) return bpf_error("cannot open the census program", errno);
  reader->skeleton_->rodata->with_kernel_threads = options.kernel_threads;
  if (int error = census_bpf::load(reader->skeleton_.get()))
    return bpf_error("the kernel refused the census program", -error);
  if (int error = census_bpf::attach(reader->skeleton_.get()))
    return bpf_error("cannot attach the census program", -error);
  return reader;
}

Status CensusReader::read(Census& census, Depth depth) {
  skeleton_->bss->still_after = depth == Depth::changed ? last_pass_ : 0;
  last_pass_ = 0;
  if (Status status = read_pass(census); !status) return status;
  last_pass_ = skeleton_->bss->pass;
  spread_exec_ids(census);
  return ok();
}

Status CensusReader::read_pass(Census& census) {
  census.threads.clear();
  census.still.clear();
  Fd iterator(bpf_iter_create(bpf_link__fd(skeleton_->links.census)));
  if (!iterator) return bpf_error("cannot start a census", errno);
  CensusParser parser(census);
  while (true) {
    ssize_t size = ::read(iterator.get(), buffer_.data(), buffer_.size());
    // EAGAIN: a million threads were skipped in one go (bpf_iter.c, MAX_ITER_OBJECTS); the walk goes on.
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size < 0) return Error{Error::Kind::internal, std::string("census: read: ") + std::strerror(errno)};
    if (size == 0) break;
    if (!parser.feed(buffer_.data(), static_cast<size_t>(size)))
      return Error{Error::Kind::internal, "census: the records are not what was agreed with the kernel side"};
    // Not until it reads nothing: the iterator would look once more, and add threads born since its closing
    // mark.
    if (parser.complete()) break;
  }
  if (!parser.complete())
    return Error{Error::Kind::internal, "census: the pass ended before its closing mark"};
  return ok();
}

// The kernel side reads it of leaders only.
void CensusReader::spread_exec_ids(Census& census) {
  exec_ids_.clear();
  for (const loiter_thread& thread : census.threads)
    if (thread.id.tid == thread.id.tgid) exec_ids_[thread.id.tgid] = thread.id.exec_id;
  for (const loiter_still& still : census.still)
    if (still.tid == still.tgid) exec_ids_[still.tgid] = still.exec_id;
  const std::pair<const uint32_t, uint32_t>* last = nullptr;
  for (loiter_thread& thread : census.threads) {
    if (thread.id.tid == thread.id.tgid) continue;
    if (!last || last->first != thread.id.tgid) {
      auto found = exec_ids_.find(thread.id.tgid);
      if (found == exec_ids_.end()) continue;
      last = &*found;
    }
    thread.id.exec_id = last->second;
  }
}

std::vector<LossCount> CensusReader::losses() const {
  return read_losses(bpf_map__fd(skeleton_->maps.losses));
}

std::vector<BpfMapSize> CensusReader::maps() const {
  return map_sizes(skeleton_->obj);
}

}  // namespace loiter

#include "daemon/inspect/opener.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/inspect/opener_wire.h"

namespace loiter {
namespace {

// Reading memory and local files takes microseconds; what takes a second hangs.
constexpr uint64_t kPatienceNs = 2'000'000'000;
constexpr size_t kMaxReply = 32 << 20;

void append(std::vector<std::byte>& to, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  to.insert(to.end(), bytes, bytes + size);
}

Error errno_error(const std::string& what, int number) {
  return Error{Error::Kind::unavailable, what + ": " + std::strerror(number)};
}

}  // namespace

// --- the memory ------------------------------------------------------------------------------------

Result<SharedMemory> SharedMemory::make() {
  SharedMemory memory;
  memory.fd_ = Fd(memfd_create("loiter", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.fd_ || ftruncate(memory.fd(), kSize)) return errno_error("cannot make shared memory", errno);
  // Nobody can make it shorter under the others' feet.
  fcntl(memory.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  std::string self = "/proc/self/fd/" + std::to_string(memory.fd());
  memory.read_only_fd_ = Fd(open(self.c_str(), O_RDONLY | O_CLOEXEC));
  void* data = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd(), 0);
  if (!memory.read_only_fd_ || data == MAP_FAILED) return errno_error("cannot map shared memory", errno);
  memory.data_ = static_cast<std::byte*>(data);
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)),
      read_only_fd_(std::move(other.read_only_fd_)),
      data_(std::exchange(other.data_, nullptr)) {}

SharedMemory::~SharedMemory() {
  if (data_) munmap(data_, kSize);
}

void SharedMemory::wipe_range(size_t begin, size_t end) const {
  if (begin >= end) return;
  if (fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                static_cast<off_t>(end - begin)))
    std::memset(data_ + begin, 0, end - begin);
}

const char* to_string(FollowedList::End end) {
  switch (end) {
    case FollowedList::End::closed:
      return "it is whole";
    case FollowedList::End::torn:
      return "its links do not agree";
    case FollowedList::End::cycle:
      return "it never comes back to its head";
    case FollowedList::End::too_many:
      return "it has too many entries";
    case FollowedList::End::too_long:
      return "reading it took too long";
    case FollowedList::End::unreadable:
      return "it leads to where there is no memory";
  }
  return "unknown";
}

// --- the opener ------------------------------------------------------------------------------------

Result<std::vector<std::byte>> Opener::call(const std::vector<std::byte>& request, Fd* fd) {
  if (!child_) {
    auto started = HelperProcess::start("opener", memory_.fd(), cancel_);
    if (!started) return started.error();
    child_.emplace(std::move(*started));
  }
  std::vector<std::byte> reply;
  if (!child_->send(request.data(), request.size()) || !child_->receive(reply, kMaxReply, kPatienceNs, fd) ||
      reply.size() < sizeof(OpenerReply)) {
    child_.reset();
    if (cancel_) return Error{Error::Kind::unavailable, "the daemon ends"};
    ++restarts_;
    spdlog::warn("the opener did not answer in time, another one takes its place");
    return Error{Error::Kind::unavailable, "reading it hung"};
  }
  OpenerReply head;
  std::memcpy(&head, reply.data(), sizeof(head));
  if (head.error) return errno_error("cannot read it", head.error);
  reply.erase(reply.begin(), reply.begin() + sizeof(head));
  return reply;
}

// The child may have come some way before it failed. Only what it was to write: stacks may lie beside it.
void Opener::wipe(const std::vector<MemoryPiece>& pieces) const {
  uint64_t begin = SharedMemory::kSize, end = 0;
  for (const MemoryPiece& piece : pieces) {
    begin = std::min(begin, piece.place);
    end = std::max(end, std::min<uint64_t>(piece.place, SharedMemory::kSize) + piece.size);
  }
  memory_.wipe_range(begin, std::min<uint64_t>(end, SharedMemory::kSize));
}

Status Opener::read_memory(uint32_t pid, std::vector<MemoryPiece>& pieces) {
  if (pieces.empty()) return ok();
  std::vector<std::byte> request;
  OpenerRequest head{.op = OpenerOp::read_memory, .pid = pid, .count = pieces.size()};
  append(request, &head, sizeof(head));
  append(request, pieces.data(), pieces.size() * sizeof(MemoryPiece));
  auto reply = call(request);
  if (reply && reply->size() != pieces.size() * sizeof(uint32_t))
    reply = Error{Error::Kind::internal, "the opener answered something else"};
  if (!reply) {
    wipe(pieces);
    return reply.error();
  }
  for (size_t i = 0; i < pieces.size(); ++i)
    std::memcpy(&pieces[i].got, reply->data() + i * sizeof(uint32_t), sizeof(uint32_t));
  return ok();
}

Result<FollowedList> Opener::follow_list(uint32_t pid, const ListToFollow& list) {
  std::vector<std::byte> request;
  OpenerRequest head{.op = OpenerOp::follow_list, .pid = pid, .count = 1};
  append(request, &head, sizeof(head));
  append(request, &list, sizeof(list));
  auto reply = call(request);
  FollowedList followed;
  if (reply && reply->size() != sizeof(followed))
    reply = Error{Error::Kind::internal, "the opener answered something else"};
  if (!reply) {
    const uint64_t begin = std::min<uint64_t>(list.place, SharedMemory::kSize);
    const uint64_t most = (SharedMemory::kSize - begin) / std::max<uint64_t>(list.record_size(), 1);
    memory_.wipe_range(begin, begin + std::min(list.most_nodes, most) * list.record_size());
    return reply.error();
  }
  std::memcpy(&followed, reply->data(), sizeof(followed));
  return followed;
}

namespace {

std::vector<std::byte> path_request(OpenerOp op, uint32_t pid, uint64_t count, const std::string& path) {
  std::vector<std::byte> request;
  OpenerRequest head{.op = op, .pid = pid, .count = count};
  append(request, &head, sizeof(head));
  append(request, path.data(), path.size());
  return request;
}

Result<std::string> text_of(Result<std::vector<std::byte>> reply) {
  if (!reply) return reply.error();
  return std::string(reinterpret_cast<const char*>(reply->data()), reply->size());
}

}  // namespace

Result<std::string> Opener::read_file(const std::string& path, size_t max_size) {
  return text_of(call(path_request(OpenerOp::read_file, 0, max_size, path)));
}

Result<std::string> Opener::read_link(const std::string& path) {
  return text_of(call(path_request(OpenerOp::read_link, 0, 0, path)));
}

Result<Fd> Opener::open_file(const FileToOpen& file) {
  OpenerOp op = file.kind == FileToOpen::Kind::plain ? OpenerOp::open_plain : OpenerOp::open_in_root;
  Fd opened;
  auto reply = call(path_request(op, file.pid, 0, file.path), &opened);
  if (!reply) return reply.error();
  if (!opened) return Error{Error::Kind::internal, "the opener sent no file"};
  return opened;
}

}  // namespace loiter

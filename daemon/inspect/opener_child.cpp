// The opener's own side: what it is asked for, one request after the other. It may hang in any of these
// calls.
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/inspect/list_walk.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/opener_wire.h"

namespace loiter {
namespace {

constexpr size_t kMaxRequest = 64 << 20;
constexpr size_t kMaxFile = 32 << 20;

struct Reply {
  OpenerReply head;
  std::vector<std::byte> body;
  Fd fd;
};

// process_vm_readv stops at the first page that is not there and tells how far it came, so the rest of a
// batch is asked for again from the next piece on.
void read_pieces(pid_t pid, std::byte* memory, std::vector<MemoryPiece>& pieces, Reply& reply) {
  constexpr size_t kBatch = 512;  // of at most IOV_MAX
  std::array<iovec, kBatch> local{};
  std::array<iovec, kBatch> remote{};
  for (size_t first = 0; first < pieces.size();) {
    size_t count = std::min(kBatch, pieces.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const MemoryPiece& piece = pieces[first + i];
      bool fits = piece.place <= SharedMemory::kSize && piece.size <= SharedMemory::kSize - piece.place;
      local[i] = {memory + (fits ? piece.place : 0), fits ? piece.size : 0};
      void* there =
          reinterpret_cast<void*>(piece.address);  // NOLINT(performance-no-int-to-ptr): the target's
      remote[i] = {there, fits ? piece.size : 0};
    }
    ssize_t got = process_vm_readv(pid, local.data(), count, remote.data(), count, 0);
    if (got < 0 && errno != EFAULT) {
      reply.head.error = errno;
      return;
    }
    size_t left = got < 0 ? 0 : static_cast<size_t>(got);
    size_t done = 0;
    while (done < count) {
      MemoryPiece& piece = pieces[first + done];
      piece.got = static_cast<uint32_t>(std::min<size_t>(left, local[done].iov_len));
      left -= piece.got;
      ++done;
      if (piece.got < local[done - 1].iov_len) break;
    }
    first += done;
  }
}

void read_memory(const OpenerRequest& head, const std::vector<std::byte>& message, std::byte* memory,
                 Reply& reply) {
  std::vector<MemoryPiece> pieces(head.count);
  if (message.size() != sizeof(head) + head.count * sizeof(MemoryPiece)) {
    reply.head.error = EINVAL;
    return;
  }
  std::memcpy(pieces.data(), message.data() + sizeof(head), head.count * sizeof(MemoryPiece));
  read_pieces(static_cast<pid_t>(head.pid), memory, pieces, reply);
  for (const MemoryPiece& piece : pieces) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&piece.got);
    reply.body.insert(reply.body.end(), bytes, bytes + sizeof(piece.got));
  }
}

void follow_list(const OpenerRequest& head, const std::vector<std::byte>& message, std::byte* memory,
                 Reply& reply) {
  ListToFollow list;
  if (message.size() != sizeof(head) + sizeof(list)) {
    reply.head.error = EINVAL;
    return;
  }
  std::memcpy(&list, message.data() + sizeof(head), sizeof(list));
  const FollowedList followed =
      walk_list(static_cast<pid_t>(head.pid), list, {memory, SharedMemory::kSize}, reply.head.error);
  const auto* bytes = reinterpret_cast<const std::byte*>(&followed);
  reply.body.assign(bytes, bytes + sizeof(followed));
}

void read_file(const std::string& path, size_t max_size, Reply& reply) {
  max_size = std::min(max_size, kMaxFile);
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    reply.head.error = errno;
    return;
  }
  constexpr size_t kStep = 64 * 1024;
  size_t size = 0;
  while (size < max_size) {
    reply.body.resize(std::min(size + kStep, max_size));
    ssize_t got = read(file.get(), reply.body.data() + size, reply.body.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) reply.head.error = errno;
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  reply.body.resize(reply.head.error ? 0 : size);
}

void read_link(const std::string& path, Reply& reply) {
  std::array<char, 4096> target{};
  ssize_t size = readlink(path.c_str(), target.data(), target.size());
  if (size < 0) {
    reply.head.error = errno;
    return;
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(target.data());
  reply.body.assign(bytes, bytes + size);
}

// First only named (O_PATH), so that what is no regular file is never opened: a FIFO, a device. Then opened
// by that name of ours, which is the same file whatever became of its path.
void hand_over_regular(Fd path, Reply& reply) {
  struct stat status {};
  if (!path || fstat(path.get(), &status)) {
    reply.head.error = errno;
    return;
  }
  if (!S_ISREG(status.st_mode)) {
    reply.head.error = EINVAL;
    return;
  }
  std::string self = "/proc/self/fd/" + std::to_string(path.get());
  reply.fd = Fd(open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!reply.fd) reply.head.error = errno;
}

Fd path_in_root(uint32_t pid, const std::string& path) {
  std::string root = "/proc/" + std::to_string(pid) + "/root";
  Fd directory(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return {};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, directory.get(), path.c_str(), &how, sizeof(how))));
}

Reply serve(const std::vector<std::byte>& message, std::byte* memory) {
  Reply reply;
  OpenerRequest head;
  if (message.size() < sizeof(head)) {
    reply.head.error = EINVAL;
    return reply;
  }
  std::memcpy(&head, message.data(), sizeof(head));
  std::string path(reinterpret_cast<const char*>(message.data()) + sizeof(head),
                   message.size() - sizeof(head));
  switch (head.op) {
    case OpenerOp::read_memory:
      read_memory(head, message, memory, reply);
      break;
    case OpenerOp::follow_list:
      follow_list(head, message, memory, reply);
      break;
    case OpenerOp::read_file:
      read_file(path, head.count, reply);
      break;
    case OpenerOp::read_link:
      read_link(path, reply);
      break;
    case OpenerOp::open_plain:
      hand_over_regular(Fd(open(path.c_str(), O_PATH | O_CLOEXEC)), reply);
      break;
    case OpenerOp::open_in_root:
      hand_over_regular(path_in_root(head.pid, path), reply);
      break;
    default:
      reply.head.error = EINVAL;
  }
  return reply;
}

}  // namespace

int run_opener_child() {
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "loiter-opener");
  signal(SIGPIPE, SIG_IGN);
  void* memory = mmap(nullptr, SharedMemory::kSize, PROT_READ | PROT_WRITE, MAP_SHARED, kHelperMemoryFd, 0);
  if (memory == MAP_FAILED) return 3;
  std::vector<std::byte> message;
  while (helper_receive(kHelperSocketFd, message, kMaxRequest)) {
    Reply reply = serve(message, static_cast<std::byte*>(memory));
    std::vector<std::byte> out(sizeof(reply.head));
    std::memcpy(out.data(), &reply.head, sizeof(reply.head));
    if (!reply.head.error) out.insert(out.end(), reply.body.begin(), reply.body.end());
    if (!helper_send(kHelperSocketFd, out.data(), out.size(), reply.fd.get())) break;
  }
  return 0;
}

}  // namespace loiter

#include "daemon/sensors/file_table.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace loiter {
namespace {

// include/net/tcp_states.h
constexpr uint8_t kTcpListen = 10;

constexpr std::array<uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

uint64_t descriptor_key(uint32_t pid, uint32_t fd) {
  return uint64_t{pid} << 32 | fd;
}

bool is_inet(const loiter_socket& socket) {
  return socket.family == AF_INET || socket.family == AF_INET6;
}

bool same(const uint8_t (&a)[16], const uint8_t (&b)[16]) {
  return std::memcmp(a, b, sizeof(a)) == 0;
}

bool is_v4(const uint8_t (&address)[16]) {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), address);
}

// 0.0.0.0 or ::
bool is_any(const uint8_t (&address)[16]) {
  size_t from = is_v4(address) ? 12 : 0;
  return std::all_of(address + from, address + 16, [](uint8_t byte) { return byte == 0; });
}

bool is_loopback(const uint8_t (&address)[16]) {
  if (is_v4(address)) return address[12] == 127;
  return std::all_of(address, address + 15, [](uint8_t byte) { return byte == 0; }) && address[15] == 1;
}

bool same_kind(const loiter_socket& a, const loiter_socket& b) {
  return is_inet(b) && a.type == b.type && a.protocol == b.protocol && a.net_namespace == b.net_namespace;
}

bool is_reversed(const loiter_socket& a, const loiter_socket& b) {
  return same_kind(a, b) && a.local_port == b.remote_port && a.remote_port == b.local_port &&
         same(a.local, b.remote) && same(a.remote, b.local);
}

// Whether `b` has no peer of its own and takes what is sent to where `a` sends.
bool takes_from(const loiter_socket& a, const loiter_socket& b) {
  if (!same_kind(a, b) || b.remote_port != 0) return false;
  if (b.type == SOCK_STREAM && b.state != kTcpListen) return false;
  // Another host may have the same address as the one bound here only if it is not this host's: loopback, or
  // the address that this end has itself.
  if (!is_loopback(a.remote) && !same(a.local, a.remote)) return false;
  return is_any(b.local) || same(b.local, a.remote);
}

// The other way round: `b` sends to where `a`, which has no peer of its own, receives.
bool sends_to(const loiter_socket& a, const loiter_socket& b) {
  return same_kind(a, b) && b.remote_port == a.local_port && takes_from(b, a);
}

}  // namespace

FileTable::FileTable(OpenFiles files) : files_(std::move(files)) {
  for (uint32_t i = 0; i < files_.files.size(); ++i) {
    const auto& [file, socket] = files_.files[i];
    by_descriptor_[descriptor_key(file.pid, file.fd)].push_back(i);
    by_inode_[file.inode].push_back(i);
    if (file.file_class != LOITER_FILE_SOCKET) continue;
    if (is_inet(socket)) by_local_port_[socket.local_port].push_back(i);
    if (socket.family == AF_UNIX && socket.name_id != 0) by_name_[socket.name_id].push_back(i);
  }
}

const OpenFile* FileTable::find(uint32_t pid, int fd) const {
  if (fd < 0) return nullptr;
  auto found = by_descriptor_.find(descriptor_key(pid, static_cast<uint32_t>(fd)));
  if (found == by_descriptor_.end()) return nullptr;
  for (uint32_t i : found->second)  // the process's table before that of a thread with one of its own
    if (files_.files[i].file.tid == pid) return &files_.files[i];
  return &files_.files[found->second.front()];
}

const std::vector<uint32_t>& FileTable::of_inode(uint64_t inode) const {
  static const std::vector<uint32_t> none;
  auto found = by_inode_.find(inode);
  return found == by_inode_.end() ? none : found->second;
}

// True where there was any.
template <typename Matches>
bool FileTable::collect(const Index& index, uint64_t key, bool listens, FileEnds& out,
                        Matches matches) const {
  auto found = index.find(key);
  if (found == index.end()) return false;
  bool any = false;
  for (uint32_t i : found->second) {
    const OpenFile& other = files_.files[i];
    if (!matches(other)) continue;
    any = true;
    if (out.ends.size() < kMaxEnds)
      out.ends.push_back({other.file.pid, static_cast<int>(other.file.fd), listens});
    else
      ++out.left_out;
  }
  return any;
}

void FileTable::pipe_ends(const OpenFile& asker, FileUse use, FileEnds& out) const {
  uint8_t wanted = 0;
  if (use != FileUse::writes && (asker.file.access & LOITER_FILE_READ)) wanted |= LOITER_FILE_WRITE;
  if (use != FileUse::reads && (asker.file.access & LOITER_FILE_WRITE)) wanted |= LOITER_FILE_READ;
  collect(by_inode_, asker.file.inode, false, out, [&](const OpenFile& other) {
    return other.file.file_class == asker.file.file_class && other.file.device == asker.file.device &&
           (other.file.access & wanted);
  });
}

void FileTable::unix_ends(const OpenFile& asker, FileEnds& out) const {
  const loiter_socket& socket = asker.socket;
  if (socket.peer_inode != 0) {
    collect(by_inode_, socket.peer_inode, false, out, [&](const OpenFile& other) {
      if (other.file.file_class != LOITER_FILE_SOCKET || other.socket.family != AF_UNIX) return false;
      // Of a stream both know of each other; many datagram sockets may be connected to one.
      return socket.type == SOCK_DGRAM || other.socket.peer_inode == asker.file.inode;
    });
  } else if ((socket.marks & LOITER_SOCKET_PEER_UNBORN) && socket.peer_name_id != 0) {
    collect(by_name_, socket.peer_name_id, true, out, [&](const OpenFile& other) {
      return other.file.file_class == LOITER_FILE_SOCKET && other.socket.state == kTcpListen;
    });
  }
  if (socket.type != SOCK_DGRAM || socket.name_id == 0) return;
  // Who sends to it is known where the sender is connected. Few hosts have many sockets: a walk will do.
  for (const OpenFile& other : files_.files) {
    if (other.file.file_class != LOITER_FILE_SOCKET || other.socket.family != AF_UNIX) continue;
    if (other.socket.peer_inode != asker.file.inode) continue;
    if (out.ends.size() < kMaxEnds)
      out.ends.push_back({other.file.pid, static_cast<int>(other.file.fd), false});
    else
      ++out.left_out;
  }
}

void FileTable::inet_ends(const OpenFile& asker, FileEnds& out) const {
  const loiter_socket& socket = asker.socket;
  if (socket.remote_port == 0) {
    if (socket.type != SOCK_DGRAM || socket.local_port == 0) return;
    for (const auto& [port, indices] : by_local_port_)
      collect(by_local_port_, port, false, out,
              [&](const OpenFile& other) { return sends_to(socket, other.socket); });
    return;
  }
  if (collect(by_local_port_, socket.remote_port, false, out,
              [&](const OpenFile& other) { return is_reversed(socket, other.socket); }))
    return;
  collect(by_local_port_, socket.remote_port, socket.type == SOCK_STREAM, out,
          [&](const OpenFile& other) { return takes_from(socket, other.socket); });
}

void FileTable::same_description(const OpenFile& asker, bool with_asker, FileEnds& out) const {
  collect(by_inode_, asker.file.inode, false, out, [&](const OpenFile& other) {
    if (other.file.description != asker.file.description) return false;
    return with_asker || other.file.pid != asker.file.pid || other.file.fd != asker.file.fd;
  });
}

namespace {
void sort_once(FileEnds& ends) {
  std::sort(ends.ends.begin(), ends.ends.end());
  ends.ends.erase(std::unique(ends.ends.begin(), ends.ends.end()), ends.ends.end());
}
}  // namespace

FileEnds FileTable::other_ends(uint32_t pid, int fd, FileUse use) const {
  const OpenFile* asker = find(pid, fd);
  return asker ? other_ends(*asker, use) : FileEnds();
}

FileEnds FileTable::other_ends(const OpenFile& asker, FileUse use) const {
  FileEnds out;
  switch (asker.file.file_class) {
    case LOITER_FILE_PIPE:
    case LOITER_FILE_FIFO:
      pipe_ends(asker, use, out);
      break;
    case LOITER_FILE_SOCKET:
      if (asker.socket.family == AF_UNIX) unix_ends(asker, out);
      if (is_inet(asker.socket)) inet_ends(asker, out);
      break;
    case LOITER_FILE_ANONYMOUS:
      if (std::string_view(asker.file.name).starts_with("[eventfd")) same_description(asker, false, out);
      break;
    default:
      break;
  }
  sort_once(out);
  return out;
}

FileEnds FileTable::holders(const OpenFile& file) const {
  FileEnds out;
  same_description(file, true, out);
  sort_once(out);
  return out;
}

}  // namespace loiter

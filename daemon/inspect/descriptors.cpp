#include "daemon/inspect/descriptors.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace loiter {
namespace {

constexpr size_t kMaxFdinfoBytes = 64 * 1024;
constexpr size_t kNamedOfEpoll = 4;  // the others are counted
constexpr uint64_t kNsPerSecond = 1'000'000'000;

std::string fd_path(uint32_t pid, uint32_t tid, const char* folder, int fd) {
  return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/" + folder + "/" +
         std::to_string(fd);
}

// What stands behind "key:" at the beginning of a line, without blanks around it.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    return line;
  }
  return std::nullopt;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text, std::string_view key, int base = 10) {
  const auto value = value_of(text, key);
  if (!value) return std::nullopt;
  Number number{};
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number, base);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// "(1, 49406829)": seconds and nanoseconds.
std::optional<uint64_t> time_of(std::string_view text, std::string_view key) {
  const auto value = value_of(text, key);
  if (!value || !value->starts_with("(")) return std::nullopt;
  const char* end = value->data() + value->size();
  uint64_t seconds = 0, ns = 0;
  const auto first = std::from_chars(value->data() + 1, end, seconds);
  if (first.ec != std::errc() || end - first.ptr < 2 || std::string_view(first.ptr, 2) != ", ")
    return std::nullopt;
  const auto second = std::from_chars(first.ptr + 2, end, ns);
  if (second.ec != std::errc() || ns >= kNsPerSecond) return std::nullopt;
  if (seconds > (UINT64_MAX - ns) / kNsPerSecond) return std::nullopt;
  return seconds * kNsPerSecond + ns;
}

std::string seconds_text(uint64_t ns) {
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%" PRIu64 ".%03" PRIu64 " s", ns / kNsPerSecond,
                ns % kNsPerSecond / 1'000'000);
  return text.data();
}

std::string inode_text(const char* what, uint64_t inode) {
  return std::string(what) + ":[" + std::to_string(inode) + "]";
}

std::string address_text(const uint8_t (&address)[16], uint16_t port) {
  static constexpr std::array<uint8_t, 12> kV4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = std::equal(kV4.begin(), kV4.end(), address);
  if (v4)
    inet_ntop(AF_INET, address + 12, text.data(), text.size());
  else
    inet_ntop(AF_INET6, address, text.data(), text.size());
  const std::string host = v4 ? text.data() : '[' + std::string(text.data()) + ']';
  return host + ':' + std::to_string(port);
}

// include/net/tcp_states.h
const char* tcp_state(uint8_t state) {
  static constexpr std::array<const char*, 13> kStates{
      "",       "established", "syn-sent", "syn-received", "fin-wait-1", "fin-wait-2",  "time-wait",
      "closed", "close-wait",  "last-ack", "listening",    "closing",    "syn-received"};
  return state < kStates.size() ? kStates[state] : "";
}

std::string protocol_of(const loiter_socket& socket) {
  switch (socket.protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_ICMPV6:
      return "icmpv6";
    case IPPROTO_SCTP:
      return "sctp";
    case 262:  // IPPROTO_MPTCP
      return "mptcp";
    default:
      return "ip protocol " + std::to_string(socket.protocol);
  }
}

std::string describe_inet(const loiter_socket& socket) {
  std::string text = protocol_of(socket) + ' ' + address_text(socket.local, socket.local_port);
  if (socket.remote_port != 0) text += " -> " + address_text(socket.remote, socket.remote_port);
  const char* state = socket.type == SOCK_STREAM ? tcp_state(socket.state) : "";
  if (*state) text += std::string(" ") + state;
  return text;
}

std::string describe_unix(const loiter_socket& socket, uint64_t inode) {
  constexpr uint8_t kListening = 10;  // TCP_LISTEN
  std::string path(socket.path, std::min<size_t>(socket.path_len, sizeof(socket.path)));
  if (!path.empty() && path[0] == '\0')
    path[0] = '@';  // abstract: as ss and /proc/net/unix show it; its length is its own
  else
    path.resize(std::min(path.size(), path.find('\0')));
  std::string text = "unix";
  if (path.empty())
    text = inode_text("unix", inode);
  else
    text += ((socket.marks & LOITER_SOCKET_PEER_PATH) ? " -> " : " ") + path;
  if (socket.state == kListening) text += " listening";
  if (socket.marks & LOITER_SOCKET_PEER_UNBORN) text += ", not accepted yet";
  return text;
}

std::string anonymous_text(std::string_view name) {
  if (name == "[eventpoll]") return "epoll";
  if (name.size() > 2 && name.front() == '[' && name.back() == ']')
    return std::string(name.substr(1, name.size() - 2));
  return std::string(name);
}

std::string link_text(ProcFiles& proc, uint32_t pid, uint32_t tid, int fd) {
  auto link = proc.read_link(fd_path(pid, tid, "fd", fd));
  return link ? *link : std::string();
}

void add_epoll(Descriptor& out, ProcFiles& proc, uint32_t pid, uint32_t tid, std::string_view fdinfo) {
  EpollInfo epoll = parse_epoll(fdinfo);
  out.watched_count = epoll.count;
  const bool cut = fdinfo.size() >= kMaxFdinfoBytes;
  out.text += (cut ? " of at least " : " of ") + std::to_string(epoll.count);
  const char* separator = ": ";
  for (size_t i = 0; i < std::min(epoll.watched.size(), kNamedOfEpoll); ++i) {
    const std::string link = link_text(proc, pid, tid, epoll.watched[i]);
    if (link.empty()) continue;
    out.text += separator + link;
    separator = ", ";
  }
  if (epoll.count > kNamedOfEpoll) out.text += ", …";
  out.watched = std::move(epoll.watched);
}

void add_timer(Descriptor& out, std::string_view fdinfo) {
  out.timer = parse_timerfd(fdinfo);
  if (!out.timer) return;
  if (out.timer->left_ns == 0 && out.timer->interval_ns == 0)
    out.text += ", not armed";
  else
    out.text += ", due in " + seconds_text(out.timer->left_ns);
  if (out.timer->interval_ns != 0) out.text += ", every " + seconds_text(out.timer->interval_ns);
}

// What fdinfo adds to one of those that have something to tell.
void add_fdinfo(Descriptor& out, ProcFiles& proc, uint32_t pid, uint32_t tid, int fd) {
  const bool epoll = out.text == "epoll", timer = out.text == "timerfd", event = out.text == "eventfd",
             process = out.text == "pidfd";
  if (!epoll && !timer && !event && !process) return;
  auto fdinfo = proc.read_file(fd_path(pid, tid, "fdinfo", fd), kMaxFdinfoBytes);
  if (!fdinfo) return;
  if (epoll) add_epoll(out, proc, pid, tid, *fdinfo);
  if (timer) add_timer(out, *fdinfo);
  if (event)
    if (auto count = parse_eventfd_count(*fdinfo); count.value_or(0) != 0)
      out.text += ", count " + std::to_string(*count);
  if (process)
    if (auto target = parse_pidfd(*fdinfo))
      out.text += *target > 0 ? " of pid " + std::to_string(*target) : ", its process has ended";
}

}  // namespace

std::string describe_socket(const loiter_socket& socket, uint64_t inode) {
  switch (socket.family) {
    case AF_UNIX:
      return describe_unix(socket, inode);
    case AF_INET:
    case AF_INET6:
      return describe_inet(socket);
    case AF_NETLINK:
      return inode_text("netlink socket", inode);
    case AF_PACKET:
      return inode_text("packet socket", inode);
    case AF_VSOCK:
      return inode_text("vsock", inode);
    default:
      return inode_text("socket", inode);
  }
}

std::string describe_file(const OpenFile& record) {
  switch (record.file.file_class) {
    case LOITER_FILE_PIPE:
      return inode_text("pipe", record.file.inode);
    case LOITER_FILE_SOCKET:
      return describe_socket(record.socket, record.file.inode);
    case LOITER_FILE_ANONYMOUS: {
      const size_t length = strnlen(record.file.name, sizeof(record.file.name));
      const std::string_view name(record.file.name, length);
      // pidfs numbers its inodes and has no names (since 6.9); inotify's has no brackets.
      if (name.find_first_not_of("0123456789") == name.npos) return "pidfd";
      return anonymous_text(name);
    }
    default:
      return {};
  }
}

Descriptor describe_descriptor(ProcFiles& proc, uint32_t pid, uint32_t tid, int fd, const OpenFile* record) {
  Descriptor out;
  if (record) out.text = describe_file(*record);
  if (out.text.empty()) {
    out.text = link_text(proc, pid, tid, fd);
    constexpr std::string_view kAnonymous = "anon_inode:";
    if (out.text.starts_with(kAnonymous) && (!record || record->file.file_class == LOITER_FILE_ANONYMOUS))
      out.text = anonymous_text(std::string_view(out.text).substr(kAnonymous.size()));
    else if (record)
      return out;  // a path, whatever it looks like
  }
  add_fdinfo(out, proc, pid, tid, fd);
  return out;
}

// fs/timerfd.c, timerfd_show
std::optional<TimerFd> parse_timerfd(std::string_view fdinfo) {
  const auto clock = number_of<int32_t>(fdinfo, "clockid:");
  const auto ticks = number_of<uint64_t>(fdinfo, "ticks:");
  const auto left = time_of(fdinfo, "it_value:");
  const auto interval = time_of(fdinfo, "it_interval:");
  if (!clock || !ticks || !left || !interval) return std::nullopt;
  return TimerFd{*clock, *ticks, *left, *interval};
}

// fs/eventpoll.c, ep_show_fdinfo: "tfd:        5 events:       19 data:                5  pos:0 …"
EpollInfo parse_epoll(std::string_view fdinfo) {
  EpollInfo epoll;
  while (!fdinfo.empty()) {
    const std::string_view line = fdinfo.substr(0, fdinfo.find('\n'));
    fdinfo.remove_prefix(std::min(fdinfo.size(), line.size() + 1));
    if (!line.starts_with("tfd:")) continue;
    const auto fd = number_of<int>(line, "tfd:");
    if (!fd || *fd < 0) continue;
    ++epoll.count;
    if (epoll.watched.size() < kMaxWatched) epoll.watched.push_back(*fd);
  }
  std::sort(epoll.watched.begin(), epoll.watched.end());  // the kernel's order is that of its addresses
  return epoll;
}

// fs/eventfd.c, eventfd_show_fdinfo: hexadecimal
std::optional<uint64_t> parse_eventfd_count(std::string_view fdinfo) {
  return number_of<uint64_t>(fdinfo, "eventfd-count:", 16);
}

std::optional<int32_t> parse_pidfd(std::string_view fdinfo) {
  return number_of<int32_t>(fdinfo, "Pid:");
}

std::optional<bool> is_bounded(const WaitCall& call, const OpenFile* record) {
  using Form = TimeoutSource::Form;
  using Option = TimeoutSource::SocketOption;
  if (call.timeout.form != Form::unknown) return call.timeout.form != Form::none;
  if (call.timeout.option == Option::none || !record) return std::nullopt;
  if (record->file.file_class != LOITER_FILE_SOCKET) return false;
  const uint8_t mark =
      call.timeout.option == Option::send ? LOITER_SOCKET_SEND_TIMEOUT : LOITER_SOCKET_RECEIVE_TIMEOUT;
  if (record->socket.marks & mark) return true;
  return call.kind == WaitKind::connect && record->socket.family != AF_UNIX;
}

}  // namespace loiter

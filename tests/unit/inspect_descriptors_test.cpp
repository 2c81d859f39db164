// What a descriptor is in words: by its record, its link and its fdinfo, sound and not.
#include "daemon/inspect/descriptors.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>

#include "tests/unit/proc_files_fake.h"

namespace loiter {
namespace {

OpenFile of_class(loiter_file_class file_class, uint64_t inode = 77, const std::string& name = "") {
  OpenFile open;
  open.file.pid = open.file.tid = 10;
  open.file.fd = 3;
  open.file.inode = inode;
  open.file.file_class = file_class;
  name.copy(open.file.name, sizeof(open.file.name) - 1);
  return open;
}

OpenFile tcp(const char* local, uint16_t local_port, const char* remote, uint16_t remote_port,
             uint8_t state) {
  OpenFile open = of_class(LOITER_FILE_SOCKET);
  open.socket.family = AF_INET6;
  open.socket.type = SOCK_STREAM;
  open.socket.protocol = IPPROTO_TCP;
  open.socket.state = state;
  open.socket.local_port = local_port;
  open.socket.remote_port = remote_port;
  EXPECT_EQ(inet_pton(AF_INET6, local, open.socket.local), 1);
  EXPECT_EQ(inet_pton(AF_INET6, remote, open.socket.remote), 1);
  return open;
}

OpenFile unix_socket(std::string path, uint8_t marks = 0) {
  OpenFile open = of_class(LOITER_FILE_SOCKET);
  open.socket.family = AF_UNIX;
  open.socket.type = SOCK_STREAM;
  open.socket.state = 1;
  open.socket.marks = marks;
  open.socket.path_len = static_cast<uint32_t>(path.copy(open.socket.path, sizeof(open.socket.path)));
  return open;
}

std::string text_of(MadeProc& proc, const OpenFile* open) {
  return describe_descriptor(proc, 10, 10, 3, open).text;
}

TEST(Descriptors, SocketsAreToldByTheirRecord) {
  MadeProc proc;
  const OpenFile v4 = tcp("::ffff:127.0.0.1", 80, "::ffff:127.0.0.1", 4711, 1);
  EXPECT_EQ(text_of(proc, &v4), "tcp 127.0.0.1:80 -> 127.0.0.1:4711 established");
  const OpenFile v6 = tcp("::1", 80, "::", 0, 10);
  EXPECT_EQ(text_of(proc, &v6), "tcp [::1]:80 listening");
  const OpenFile named = unix_socket(std::string("/run/x.sock\0", 12));
  EXPECT_EQ(text_of(proc, &named), "unix /run/x.sock");
  const OpenFile client = unix_socket("/run/x.sock", LOITER_SOCKET_PEER_PATH | LOITER_SOCKET_PEER_UNBORN);
  EXPECT_EQ(text_of(proc, &client), "unix -> /run/x.sock, not accepted yet");
  const OpenFile abstract = unix_socket(std::string("\0a\0b", 4));
  EXPECT_EQ(text_of(proc, &abstract), std::string("unix @a\0b", 9)) << "its length is its own";
  const OpenFile unnamed = unix_socket("");
  EXPECT_EQ(text_of(proc, &unnamed), "unix:[77]");
  const OpenFile pipe = of_class(LOITER_FILE_PIPE, 123);
  EXPECT_EQ(text_of(proc, &pipe), "pipe:[123]");
}

TEST(Descriptors, WithoutARecordTheLinkDoes) {
  MadeProc proc;
  EXPECT_EQ(text_of(proc, nullptr), "");
  proc.links["/proc/10/task/10/fd/3"] = "socket:[99]";
  EXPECT_EQ(text_of(proc, nullptr), "socket:[99]");
  proc.links["/proc/10/task/10/fd/3"] = "anon_inode:[eventfd]";
  EXPECT_EQ(text_of(proc, nullptr), "eventfd");
  proc.links["/proc/10/task/10/fd/3"] = "/tmp/\xff\n";
  EXPECT_EQ(text_of(proc, nullptr), "/tmp/\xff\n");
}

TEST(Descriptors, APathIsNoMoreThanAPath) {
  MadeProc proc;
  const OpenFile regular = of_class(LOITER_FILE_REGULAR);
  proc.links["/proc/10/task/10/fd/3"] = "anon_inode:[timerfd]";
  EXPECT_EQ(text_of(proc, &regular), "anon_inode:[timerfd]") << "another file by now: the record is believed";
}

TEST(Descriptors, TimersTellWhenTheyAreDue) {
  MadeProc proc;
  const OpenFile timer = of_class(LOITER_FILE_ANONYMOUS, 1, "[timerfd]");
  std::string& info = proc.files["/proc/10/task/10/fdinfo/3"];
  info = "pos:\t0\nclockid: 1\nticks: 0\nsettime flags: 01\nit_value: (9, 500000000)\nit_interval: (1, 0)\n";
  const Descriptor descriptor = describe_descriptor(proc, 10, 10, 3, &timer);
  EXPECT_EQ(descriptor.text, "timerfd, due in 9.500 s, every 1.000 s");
  ASSERT_TRUE(descriptor.timer);
  EXPECT_EQ(descriptor.timer->left_ns, 9'500'000'000u);
  info = "clockid: 1\nticks: 0\nit_value: (0, 0)\nit_interval: (0, 0)\n";
  EXPECT_EQ(text_of(proc, &timer), "timerfd, not armed");
  for (const char* broken :
       {"", "clockid: 1\nticks: 0\nit_value: (1, 1000000000)\nit_interval: (0, 0)\n",
        "clockid: 1\nticks: 0\nit_value: (\nit_interval: (0, 0)\n",
        "clockid: 1\nticks: 0\nit_value: (99999999999999999, 0)\nit_interval: (0, 0)\n"}) {
    info = broken;
    EXPECT_EQ(text_of(proc, &timer), "timerfd") << broken;
  }
}

TEST(Descriptors, AnEpollNamesSomeOfWhatItWatches) {
  MadeProc proc;
  const OpenFile epoll = of_class(LOITER_FILE_ANONYMOUS, 1, "[eventpoll]");
  std::string& info = proc.files["/proc/10/task/10/fdinfo/3"];
  info = "pos:\t0\n";
  EXPECT_EQ(text_of(proc, &epoll), "epoll of 0");
  info +=
      "tfd:        5 events:       19 data:                5  pos:0 ino:1 sdev:f\n"
      "tfd:        7 events:       19 data:                5  pos:0 ino:1 sdev:f\n"
      "tfd:       -7 events:       19\ntfd: x\n";
  proc.links["/proc/10/task/10/fd/5"] = "pipe:[1]";
  proc.links["/proc/10/task/10/fd/7"] = "/dev/tty";
  EXPECT_EQ(text_of(proc, &epoll), "epoll of 2: pipe:[1], /dev/tty");
  info.clear();
  for (int fd = 0; fd < 200; ++fd) info += "tfd: " + std::to_string(fd) + " events: 1\n";
  const Descriptor many = describe_descriptor(proc, 10, 10, 3, &epoll);
  EXPECT_EQ(many.watched_count, 200u);
  EXPECT_EQ(many.watched.size(), kMaxWatched);
  EXPECT_TRUE(many.text.ends_with("…")) << many.text;
}

TEST(Descriptors, EventfdsAndPidfds) {
  MadeProc proc;
  const OpenFile event = of_class(LOITER_FILE_ANONYMOUS, 1, "[eventfd]");
  proc.files["/proc/10/task/10/fdinfo/3"] = "eventfd-count:               1f\nPid:\t12\n";
  EXPECT_EQ(text_of(proc, &event), "eventfd, count 31");
  const OpenFile process = of_class(LOITER_FILE_ANONYMOUS, 1, "[pidfd]");
  EXPECT_EQ(text_of(proc, &process), "pidfd of pid 12");
}

TEST(Descriptors, WhetherASocketBoundsAWait) {
  WaitCall call;
  call.kind = WaitKind::read;
  call.timeout.option = TimeoutSource::SocketOption::receive;
  OpenFile socket = tcp("::1", 1, "::1", 2, 1);
  EXPECT_EQ(is_bounded(call, nullptr), std::nullopt);
  EXPECT_EQ(is_bounded(call, &socket), false);
  socket.socket.marks = LOITER_SOCKET_SEND_TIMEOUT;
  EXPECT_EQ(is_bounded(call, &socket), false);
  socket.socket.marks = LOITER_SOCKET_RECEIVE_TIMEOUT;
  EXPECT_EQ(is_bounded(call, &socket), true);
  const OpenFile pipe = of_class(LOITER_FILE_PIPE);
  EXPECT_EQ(is_bounded(call, &pipe), false);
  call.kind = WaitKind::connect;
  call.timeout.option = TimeoutSource::SocketOption::send;
  EXPECT_EQ(is_bounded(call, &socket), true) << "TCP gives up by itself";
  call.timeout = {.form = TimeoutSource::Form::none};
  EXPECT_EQ(is_bounded(call, nullptr), false);
}

}  // namespace
}  // namespace loiter

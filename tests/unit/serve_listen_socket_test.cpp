// The daemon's socket as a file: what is replaced, what is left alone, and what is left behind.
#include "daemon/serve/listen_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>
#include <memory>
#include <optional>

#include "tests/lib/daemon.h"

namespace loiter::test {
namespace {

using ::testing::HasSubstr;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

Fd bound_socket(const std::string& path, int type = SOCK_STREAM) {
  Fd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

bool can_connect(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

std::optional<struct stat> stat_of(const std::string& path) {
  struct stat file {};
  if (lstat(path.c_str(), &file)) return std::nullopt;
  return file;
}

class ListenSocketTest : public ::testing::Test {
 protected:
  void expect_refused(const std::string& path, Error::Kind kind, const std::string& why) {
    auto made = ListenSocket::make(path);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, kind);
    EXPECT_THAT(made.error().message, HasSubstr(why));
    EXPECT_EQ(made.error().message.find('\n'), std::string::npos);
  }

  TempDir dir_;
  std::string path_ = dir_.file("d.sock");
};

TEST_F(ListenSocketTest, ListensAndTakesItsFileAway) {
  {
    auto made = ListenSocket::make(path_);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(can_connect(path_));
    ASSERT_TRUE(stat_of(path_));
    EXPECT_TRUE(S_ISSOCK(stat_of(path_)->st_mode));
    EXPECT_EQ(stat_of(path_)->st_mode & 07777, 0660u);
  }
  EXPECT_FALSE(stat_of(path_));
}

TEST_F(ListenSocketTest, TheUmaskIsAsItWas) {
  const mode_t before = umask(027);
  auto made = ListenSocket::make(path_);
  EXPECT_EQ(umask(before), 027u);
  EXPECT_EQ(stat_of(path_)->st_mode & 0777, 0660u);
}

TEST_F(ListenSocketTest, MakesTheLastDirectory) {
  const std::string path = dir_.file("run/d.sock");
  {
    auto made = ListenSocket::make(path);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(stat_of(dir_.file("run"))->st_mode & 07022, 0u);
  }
  EXPECT_FALSE(stat_of(path));
  expect_refused(dir_.file("a/b/d.sock"), Error::Kind::unavailable, "cannot make its directory");
}

TEST_F(ListenSocketTest, AStaleSocketIsReplaced) {
  bound_socket(path_).reset();  // the file of a daemon that was killed
  ASSERT_TRUE(stat_of(path_));
  auto made = ListenSocket::make(path_);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(can_connect(path_));
}

TEST_F(ListenSocketTest, ASocketInUseIsLeftAlone) {
  auto first = ListenSocket::make(path_);
  ASSERT_TRUE(first);
  const ino_t inode = stat_of(path_)->st_ino;
  expect_refused(path_, Error::Kind::unavailable, "in use");
  EXPECT_EQ(stat_of(path_)->st_ino, inode);
  EXPECT_TRUE(can_connect(path_));
}

TEST_F(ListenSocketTest, ABusySocketIsInUse) {
  Fd other = bound_socket(path_);
  ASSERT_EQ(listen(other.get(), 0), 0);
  Fd waiting(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un address = address_of(path_);
  ASSERT_EQ(connect(waiting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  expect_refused(path_, Error::Kind::unavailable, "in use");  // its backlog is full
}

TEST_F(ListenSocketTest, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  expect_refused(path_, Error::Kind::unavailable, "no socket");
  EXPECT_EQ(stat_of(path_)->st_size, 8);
  const std::string link = dir_.file("link");
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  expect_refused(link, Error::Kind::unavailable, "no socket");
  EXPECT_TRUE(S_ISLNK(stat_of(link)->st_mode));
  expect_refused(dir_.path(), Error::Kind::unavailable, "no socket");
}

TEST_F(ListenSocketTest, ASocketOfAnotherKindIsLeftAlone) {
  Fd other = bound_socket(path_, SOCK_DGRAM);
  expect_refused(path_, Error::Kind::unavailable, "socket");
  EXPECT_TRUE(stat_of(path_));
}

TEST_F(ListenSocketTest, PathsThatCannotBeAreTheUsersError) {
  expect_refused("", Error::Kind::usage, "--socket");
  expect_refused("/tmp/" + std::string(200, 'x'), Error::Kind::usage, "--socket");
}

TEST_F(ListenSocketTest, ControlCharactersOfAPathAreEscaped) {
  const std::string path = dir_.file("a\x1b\nb");
  std::ofstream(path) << "x";
  expect_refused(path, Error::Kind::unavailable, "\\x1b\\nb");
}

TEST_F(ListenSocketTest, AFileThatIsAnothersByNowStays) {
  {
    auto made = ListenSocket::make(path_);
    ASSERT_TRUE(made);
    ASSERT_EQ(unlink(path_.c_str()), 0);
    std::ofstream(path_) << "another";
  }
  EXPECT_TRUE(stat_of(path_));
}

TEST_F(ListenSocketTest, AMovedSocketLeavesTheFileToItsNewOwner) {
  auto made = std::make_unique<Result<ListenSocket>>(ListenSocket::make(path_));
  ASSERT_TRUE(*made);
  {
    ListenSocket taken = std::move(**made);
    made.reset();
    EXPECT_TRUE(can_connect(path_));
    Fd fd = taken.take_fd();
    EXPECT_TRUE(fd);
  }
  EXPECT_FALSE(stat_of(path_));
}

}  // namespace
}  // namespace loiter::test

// The private daemon's line to its command: descriptors come over it, and its end is told.
#include "daemon/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <vector>

#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) throw std::runtime_error("socketpair");
    theirs_ = Fd(ends[0]);
    control_.emplace(Fd(ends[1]));
  }

  void send_fds(const std::vector<int>& fds) {
    char byte = 0;
    iovec part{&byte, 1};
    std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
    }
    ASSERT_EQ(sendmsg(theirs_.get(), &message, 0), 1);
  }

  bool receive() {
    return control_->receive([this](Fd fd) { received_.push_back(std::move(fd)); });
  }

  Fd theirs_;
  std::optional<ControlSocket> control_;
  std::vector<Fd> received_;
};

ino_t inode_of(int fd) {
  struct stat file {};
  return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

TEST_F(ControlSocketTest, ADescriptorArrivesAndIsClosedOnExec) {
  send_fds({theirs_.get()});
  EXPECT_TRUE(receive());
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(inode_of(received_[0].get()), inode_of(theirs_.get()));
  EXPECT_TRUE(fcntl(received_[0].get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(ControlSocketTest, EachMessageIsTakenByItself) {
  send_fds({theirs_.get()});
  send_fds({theirs_.get()});
  EXPECT_TRUE(receive());
  EXPECT_EQ(received_.size(), 1u);
  EXPECT_TRUE(receive());
  EXPECT_EQ(received_.size(), 2u);
}

TEST_F(ControlSocketTest, NothingThereIsNoEnd) {
  EXPECT_TRUE(receive());
  send_fds({});
  EXPECT_TRUE(receive());
  EXPECT_TRUE(received_.empty());
}

TEST_F(ControlSocketTest, TheOtherEndGoneIsTheEnd) {
  theirs_.reset();
  EXPECT_FALSE(receive());
  EXPECT_FALSE(receive());
}

TEST_F(ControlSocketTest, WhatWasSentBeforeTheEndStillCounts) {
  send_fds({theirs_.get()});
  theirs_.reset();
  EXPECT_TRUE(receive());
  EXPECT_EQ(received_.size(), 1u);
  received_.clear();  // which held the other end
  EXPECT_FALSE(receive());
}

TEST_F(ControlSocketTest, MoreThanOneDescriptorInAMessageLeaksNone) {
  const size_t before = open_file_count(getpid());
  for (size_t count : {2, 3, 10}) {
    send_fds(std::vector<int>(count, theirs_.get()));
    EXPECT_TRUE(receive());
    EXPECT_FALSE(received_.empty());
    received_.clear();
    EXPECT_EQ(open_file_count(getpid()), before) << count;
  }
}

}  // namespace
}  // namespace loiter::test

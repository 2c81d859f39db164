// Records of open files: put together from reads that end anywhere, refused where they make no sense.
#include <gtest/gtest.h>

#include <cstring>

#include "daemon/sensors/file_reader.h"

namespace loiter {
namespace {

std::vector<std::byte> bytes_of(const OpenFile& open) {
  std::vector<std::byte> bytes(sizeof(open.file));
  std::memcpy(bytes.data(), &open.file, sizeof(open.file));
  if (open.file.file_class != LOITER_FILE_SOCKET) return bytes;
  bytes.resize(sizeof(open.file) + sizeof(open.socket));
  std::memcpy(bytes.data() + sizeof(open.file), &open.socket, sizeof(open.socket));
  return bytes;
}

std::vector<std::byte> three_files() {
  std::vector<std::byte> all;
  for (uint32_t fd = 0; fd < 3; ++fd) {
    OpenFile open;
    open.file.pid = 10;
    open.file.fd = fd;
    open.file.file_class = fd == 1 ? LOITER_FILE_SOCKET : LOITER_FILE_PIPE;
    open.socket.local_port = 80;
    const auto bytes = bytes_of(open);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

TEST(FileParser, ReadsMayEndAnywhere) {
  const auto bytes = three_files();
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    OpenFiles files;
    FileParser parser(files, 100);
    for (size_t at = 0; at < bytes.size(); at += piece)
      ASSERT_TRUE(parser.feed(bytes.data() + at, std::min(piece, bytes.size() - at)));
    ASSERT_TRUE(parser.complete()) << piece;
    ASSERT_EQ(files.files.size(), 3u) << piece;
    EXPECT_EQ(files.files[1].socket.local_port, 80);
    EXPECT_EQ(files.files[2].file.fd, 2u);
    EXPECT_EQ(files.files[2].socket.local_port, 0);
  }
}

TEST(FileParser, TellsARecordThatIsCut) {
  const auto bytes = three_files();
  OpenFiles files;
  FileParser parser(files, 100);
  EXPECT_TRUE(parser.feed(bytes.data(), bytes.size() - 1));
  EXPECT_FALSE(parser.complete());
}

TEST(FileParser, WhatIsBeyondTheLimitIsCounted) {
  const auto bytes = three_files();
  OpenFiles files;
  FileParser parser(files, 1);
  EXPECT_TRUE(parser.feed(bytes.data(), bytes.size()));
  EXPECT_EQ(files.files.size(), 1u);
  EXPECT_EQ(files.left_out, 2u);
}

TEST(FileParser, RefusesWhatIsNone) {
  OpenFile open;
  open.file.file_class = LOITER_FILE_CLASS_COUNT;
  OpenFiles files;
  FileParser parser(files, 100);
  const auto bytes = bytes_of(open);
  EXPECT_FALSE(parser.feed(bytes.data(), bytes.size()));
  open.file.file_class = LOITER_FILE_SOCKET;
  open.socket.path_len = LOITER_UNIX_PATH_LEN + 1;
  const auto long_path = bytes_of(open);
  EXPECT_FALSE(FileParser(files, 100).feed(long_path.data(), long_path.size()));
}

}  // namespace
}  // namespace loiter

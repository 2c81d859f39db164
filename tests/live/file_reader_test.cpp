// Open files as the kernel's iterator tells them: against a workload that knows both ends of each, in this
// network and pid namespace and in others.
#include "daemon/sensors/file_reader.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "daemon/inspect/descriptors.h"
#include "daemon/inspect/file_locks.h"
#include "daemon/sensors/file_table.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class RealProc : public ProcFiles {
 public:
  Result<std::string> read_link(const std::string& path) override {
    std::array<char, 4096> target;
    const ssize_t size = readlink(path.c_str(), target.data(), target.size());
    if (size < 0) return Error{Error::Kind::unavailable, path};
    return std::string(target.data(), static_cast<size_t>(size));
  }
  Result<std::string> read_file(const std::string& path, size_t max_bytes) override {
    std::string text = test::read_file(path);
    if (text.size() > max_bytes) text.resize(max_bytes);
    return text;
  }
};

struct Look {
  Workload workload;
  uint32_t pid = 0;    // that has the descriptors
  uint32_t child = 0;  // its only child
  std::unique_ptr<FileReader> reader;
  FileTable table;  // of the whole host: all that may have another end

  explicit Look(const std::vector<std::string>& args = {}) : workload("descriptors", args) {
    pid = static_cast<uint32_t>(args.empty() ? workload.pid() : only_child_of(workload.pid()));
    child = static_cast<uint32_t>(only_child_of(static_cast<pid_t>(pid)));
    auto opened = FileReader::open();
    if (!opened) throw std::runtime_error(opened.error().message);
    reader = std::move(*opened);
    table = FileTable(read_host(kConnectingFileClasses | file_class_bit(LOITER_FILE_ANONYMOUS) |
                                file_class_bit(LOITER_FILE_REGULAR)));
  }

  static pid_t only_child_of(pid_t parent) {
    const auto children = children_of(parent);
    if (children.size() != 1) throw std::runtime_error("expected one child");
    return *children.begin();
  }

  OpenFiles read_host(uint32_t classes) const {
    OpenFiles files;
    if (Status status = reader->read_host({.classes = classes}, files); !status)
      throw std::runtime_error(status.error().message);
    return files;
  }

  OpenFiles read_process(uint32_t of, const FileReader::Filter& filter = {}) const {
    OpenFiles files;
    if (Status status = reader->read_process(of, filter, files); !status)
      throw std::runtime_error(status.error().message);
    return files;
  }

  json fd(const std::string& kind) const {
    for (const json& fact : workload.facts())
      if (fact.at("kind") == kind) return fact;
    throw std::runtime_error("the workload told nothing of " + kind);
  }

  FileEnds ends(const std::string& kind, FileUse use = FileUse::any) const {
    return table.other_ends(pid, fd(kind).at("fd"), use);
  }

  // The other end as the workload told it.
  FileEnd other(const std::string& kind, bool listens = false) const {
    const json told = fd(kind);
    return {told.at("peer") == "child" ? child : pid, told.at("peer_fd"), listens};
  }

  std::string text(const std::string& kind) const {
    RealProc proc;
    const int number = fd(kind).at("fd");
    return describe_descriptor(proc, pid, pid, number, table.find(pid, number)).text;
  }
};

using Ends = std::vector<FileEnd>;

void expect_ends(const Look& look) {
  EXPECT_EQ(look.ends("pipe").ends, Ends{look.other("pipe")});
  EXPECT_EQ(look.ends("child_pipe").ends, Ends{look.other("child_pipe")});
  EXPECT_EQ(look.ends("fifo").ends, Ends{look.other("fifo")});
  EXPECT_EQ(look.ends("socketpair").ends, Ends{look.other("socketpair")});
  EXPECT_EQ(look.ends("unix").ends, Ends{look.other("unix")});
  EXPECT_EQ(look.ends("unix_waiting").ends, Ends{look.other("unix_waiting", true)});
  EXPECT_EQ(look.ends("tcp").ends, Ends{look.other("tcp")});
  EXPECT_EQ(look.ends("tcp_mapped").ends, Ends{look.other("tcp_mapped")});
  EXPECT_EQ(look.ends("tcp_waiting").ends, Ends{look.other("tcp_waiting", true)});
  EXPECT_EQ(look.ends("udp").ends, Ends{look.other("udp")});
  EXPECT_EQ(look.ends("eventfd").ends, Ends{look.other("eventfd")});
  EXPECT_EQ(look.ends("timerfd").ends, Ends{});
}

// And back again: who is asked from the other end is the first.
void expect_ways_back(const Look& look) {
  for (const char* kind : {"pipe", "socketpair", "unix", "tcp", "tcp_mapped", "udp"}) {
    const json told = look.fd(kind);
    EXPECT_EQ(look.table.other_ends(look.pid, told.at("peer_fd")).ends,
              (Ends{{look.pid, told.at("fd"), false}}))
        << kind;
  }
}

TEST(FileReader, OtherEnds) {
  Look look;
  expect_ends(look);
  expect_ways_back(look);
}

TEST(FileReader, OtherEndsInOtherNamespaces) {
  Look look({"net"});
  expect_ends(look);
  expect_ways_back(look);
  const OpenFile* far = look.table.find(look.pid, look.fd("tcp").at("fd"));
  ASSERT_TRUE(far);
  struct stat theirs {};
  ASSERT_EQ(stat(("/proc/" + std::to_string(look.pid) + "/ns/net").c_str(), &theirs), 0);
  EXPECT_EQ(far->socket.net_namespace, theirs.st_ino);
}

TEST(FileReader, AFifoOpenForBothIsItsOwnOtherEnd) {
  Look look;
  const json told = look.fd("fifo");
  const FileEnds ends = look.table.other_ends(look.pid, told.at("peer_fd"), FileUse::reads);
  EXPECT_EQ(ends.ends, (Ends{{look.pid, told.at("peer_fd"), false}})) << "it reads no end of file";
  EXPECT_EQ(look.ends("fifo", FileUse::writes).ends, Ends{}) << "opened to read alone";
}

TEST(FileReader, RecordsAreThoseOfStat) {
  Look look;
  const OpenFiles files = look.read_process(look.pid);
  std::set<int> numbers;
  for (const OpenFile& open : files.files) {
    numbers.insert(static_cast<int>(open.file.fd));
    EXPECT_EQ(open.file.pid, look.pid);
    struct stat theirs {};
    const std::string path = "/proc/" + std::to_string(look.pid) + "/fd/" + std::to_string(open.file.fd);
    ASSERT_EQ(stat(path.c_str(), &theirs), 0) << path;
    EXPECT_EQ(open.file.inode, theirs.st_ino) << path;
    EXPECT_EQ(open.file.device >> 20, major(theirs.st_dev)) << path;
    EXPECT_EQ(open.file.device & 0xfffff, minor(theirs.st_dev)) << path;
  }
  std::set<int> listed;
  DIR* folder = opendir(("/proc/" + std::to_string(look.pid) + "/fd").c_str());
  ASSERT_TRUE(folder);
  while (const dirent* entry = readdir(folder))
    if (entry->d_name[0] != '.') listed.insert(atoi(entry->d_name));
  closedir(folder);
  EXPECT_EQ(numbers, listed);
  for (const LossCount& loss : look.reader->losses()) EXPECT_EQ(loss.count, 0u) << loss.cause;
}

TEST(FileReader, FiltersByClassAndInode) {
  Look look;
  const int number = look.fd("pipe").at("fd");
  const OpenFile* pipe = look.table.find(look.pid, number);
  ASSERT_TRUE(pipe);
  const OpenFiles ends =
      look.read_process(look.pid, {.classes = file_class_bit(LOITER_FILE_PIPE), .inode = pipe->file.inode});
  EXPECT_EQ(ends.files.size(), 2u);
  const OpenFiles few = look.read_process(look.pid, {.limit = 3});
  EXPECT_EQ(few.files.size(), 3u);
  EXPECT_GT(few.left_out, 3u);
  EXPECT_TRUE(look.read_process(4194304).files.empty()) << "PID_MAX_LIMIT: never given out";
}

TEST(FileReader, DescriptorsInWords) {
  Look look;
  EXPECT_TRUE(look.text("pipe").starts_with("pipe:[")) << look.text("pipe");
  EXPECT_TRUE(look.text("unix").starts_with("unix -> /tmp/loiter-descriptors.")) << look.text("unix");
  EXPECT_TRUE(look.text("unix_waiting").ends_with(", not accepted yet")) << look.text("unix_waiting");
  EXPECT_TRUE(look.text("tcp").starts_with("tcp 127.0.0.1:")) << look.text("tcp");
  EXPECT_TRUE(look.text("tcp").ends_with(" established")) << look.text("tcp");
  EXPECT_TRUE(look.text("udp").starts_with("udp 127.0.0.1:")) << look.text("udp");
  EXPECT_EQ(look.text("eventfd"), "eventfd, count 3");
  EXPECT_TRUE(look.text("timerfd").starts_with("timerfd, due in 99")) << look.text("timerfd");
  EXPECT_EQ(look.text("epoll").rfind("epoll of 2: anon_inode:[eventfd], anon_inode:[timerfd]", 0), 0u)
      << look.text("epoll");
  EXPECT_TRUE(look.table.find(look.pid, look.fd("tcp").at("fd"))->socket.marks &
              LOITER_SOCKET_RECEIVE_TIMEOUT);
  EXPECT_FALSE(look.table.find(look.pid, look.fd("tcp").at("peer_fd"))->socket.marks &
               LOITER_SOCKET_RECEIVE_TIMEOUT);
}

TEST(FileReader, HoldersOfFileLocks) {
  Look look;
  RealProc proc;
  for (const char* kind : {"flock", "ofd"}) {
    const OpenFile* file = look.table.find(look.pid, look.fd(kind).at("fd"));
    ASSERT_TRUE(file);
    std::vector<LockWait> waits;
    ASSERT_TRUE(await("its thread waits", [&] {
      waits = lock_waits(parse_file_locks(read_file("/proc/locks")), look.pid, identity_of(file->file));
      return !waits.empty();
    }));
    ASSERT_EQ(waits.front().held.size(), 1u) << kind;
    EXPECT_EQ(lock_holders(waits.front().held.front(), look.table, proc), std::vector<uint32_t>{look.pid})
        << kind;
  }
}

}  // namespace
}  // namespace loiter::test

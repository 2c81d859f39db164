// Reads open files, of one process or of the whole host: a pass of the kernel's task_file iterator
// (bpf/files.bpf.c). Pipes and sockets come with what tells who is at their other end.
//
// Owned and called by the inspector's thread. Opening needs CAP_BPF and CAP_PERFMON, and so does each read:
// it attaches an iterator. A single process can be read since Linux 6.1 (link_info.task.pid: f0d74c4da1f0).
// The descriptors of a process change while they are read: a record tells what was there at one moment of the
// pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"

struct files_bpf;

namespace loiter {

struct OpenFile {
  loiter_file file{};
  loiter_socket socket{};  // of class LOITER_FILE_SOCKET; all zero: none, or one opened with O_PATH
};

struct OpenFiles {
  std::vector<OpenFile> files;
  uint64_t left_out = 0;  // beyond the limit
};

// Puts records together from reads that end anywhere. Entirely passive: knows bytes only.
class FileParser {
 public:
  FileParser(OpenFiles& out, size_t limit) : out_(out), limit_(limit) {}

  // False when the bytes are no records of files.
  bool feed(const std::byte* data, size_t size);

  // True between two records.
  bool complete() const { return partial_.empty(); }

 private:
  OpenFiles& out_;
  size_t limit_;
  std::vector<std::byte> partial_;
};

constexpr uint32_t file_class_bit(loiter_file_class file_class) {
  return 1u << file_class;
}
constexpr uint32_t kAllFileClasses = (1u << LOITER_FILE_CLASS_COUNT) - 1;
// Those that may have somebody at the other end.
constexpr uint32_t kConnectingFileClasses =
    file_class_bit(LOITER_FILE_PIPE) | file_class_bit(LOITER_FILE_FIFO) | file_class_bit(LOITER_FILE_SOCKET);

class FileReader {
 public:
  struct Filter {
    uint32_t classes = kAllFileClasses;
    uint64_t inode = 0;        // 0: any
    size_t limit = 2'000'000;  // records kept; those beyond are counted
  };

  static Result<std::unique_ptr<FileReader>> open();
  ~FileReader();

  // The descriptors of process `pid`, in ascending order. None: there is no such process.
  Status read_process(uint32_t pid, const Filter& filter, OpenFiles& files);

  // The descriptors in the table of that one thread. Of a process with many threads that share one much
  // cheaper: the kernel goes through all of them for read_process().
  Status read_thread(uint32_t tid, const Filter& filter, OpenFiles& files);

  // Those of every process, in ascending order of tid and descriptor.
  Status read_host(const Filter& filter, OpenFiles& files);

  std::vector<LossCount> losses() const;
  std::vector<BpfMapSize> maps() const;

 private:
  FileReader() = default;
  struct Whose {  // both 0: everybody's
    uint32_t pid = 0;
    uint32_t tid = 0;
  };
  Status read(const Whose& whose, const Filter& filter, OpenFiles& files);
  struct Destroy {
    void operator()(files_bpf* skeleton) const;
  };
  std::unique_ptr<files_bpf, Destroy> skeleton_;
};

}  // namespace loiter

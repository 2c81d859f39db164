#include "daemon/sensors/file_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "daemon/base/fd.h"
#include "files.skel.h"

namespace loiter {
namespace {

// Takes one whole record from the front; 0: there is none.
size_t take(const std::byte* data, size_t size, OpenFile& record) {
  if (size < sizeof(record.file)) return 0;
  std::memcpy(&record.file, data, sizeof(record.file));
  if (record.file.file_class != LOITER_FILE_SOCKET) return sizeof(record.file);
  if (size < sizeof(record.file) + sizeof(record.socket)) return 0;
  std::memcpy(&record.socket, data + sizeof(record.file), sizeof(record.socket));
  return sizeof(record.file) + sizeof(record.socket);
}

bool is_sound(const OpenFile& record) {
  return record.file.file_class < LOITER_FILE_CLASS_COUNT && record.socket.path_len <= LOITER_UNIX_PATH_LEN;
}

}  // namespace

bool FileParser::feed(const std::byte* data, size_t size) {
  std::vector<std::byte> joined;
  if (!partial_.empty()) {
    joined.swap(partial_);
    joined.insert(joined.end(), data, data + size);
    data = joined.data();
    size = joined.size();
  }
  while (size > 0) {
    OpenFile record;
    size_t taken = take(data, size, record);
    if (taken == 0) {
      partial_.assign(data, data + size);
      return true;
    }
    if (!is_sound(record)) return false;
    if (out_.files.size() < limit_)
      out_.files.push_back(record);
    else
      ++out_.left_out;
    data += taken;
    size -= taken;
  }
  return true;
}

void FileReader::Destroy::operator()(files_bpf* skeleton) const {
  files_bpf::destroy(skeleton);
}

FileReader::~FileReader() = default;

Result<std::unique_ptr<FileReader>> FileReader::open() {
  std::unique_ptr<FileReader> reader(new FileReader);
  reader->skeleton_.reset(files_bpf::open(nullptr));
  if (!reader->skeleton_) return bpf_error("cannot open the program that reads open files", errno);
  if (int error = files_bpf::load(reader->skeleton_.get()))
    return bpf_error("the kernel refused the program that reads open files", -error);
  return reader;
}

Status FileReader::read_process(uint32_t pid, const Filter& filter, OpenFiles& files) {
  if (pid == 0) return Error{Error::Kind::usage, "there is no process 0"};
  return read({.pid = pid}, filter, files);
}

Status FileReader::read_thread(uint32_t tid, const Filter& filter, OpenFiles& files) {
  if (tid == 0) return Error{Error::Kind::usage, "there is no thread 0"};
  return read({.tid = tid}, filter, files);
}

Status FileReader::read_host(const Filter& filter, OpenFiles& files) {
  return read({}, filter, files);
}

Status FileReader::read(const Whose& whose, const Filter& filter, OpenFiles& files) {
  files.files.clear();
  files.left_out = 0;
  skeleton_->bss->wanted_classes = filter.classes;
  skeleton_->bss->wanted_inode = filter.inode;
  bpf_iter_link_info info{};
  info.task.pid = whose.pid;
  info.task.tid = whose.tid;
  LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
  std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(
      bpf_program__attach_iter(skeleton_->progs.files, &options), bpf_link__destroy);
  if (!link && (whose.pid || whose.tid) && errno == ESRCH) return ok();
  if (!link) return bpf_error("cannot look at open files", errno);
  Fd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (!iterator) return bpf_error("cannot look at open files", errno);
  FileParser parser(files, filter.limit);
  std::array<std::byte, 32 * 1024> buffer;  // the kernel hands out as much at most (bpf_seq_read, 8 pages)
  while (true) {
    ssize_t size = ::read(iterator.get(), buffer.data(), buffer.size());
    // EAGAIN: a million files were skipped in one go (bpf_iter.c, MAX_ITER_OBJECTS); the walk goes on.
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size < 0)
      return Error{Error::Kind::internal, std::string("open files: read: ") + std::strerror(errno)};
    if (size == 0) break;
    if (!parser.feed(buffer.data(), static_cast<size_t>(size)))
      return Error{Error::Kind::internal, "open files: not what was agreed with the kernel side"};
  }
  if (!parser.complete()) return Error{Error::Kind::internal, "open files: the last record is cut"};
  return ok();
}

std::vector<LossCount> FileReader::losses() const {
  return read_losses(bpf_map__fd(skeleton_->maps.losses));
}

std::vector<BpfMapSize> FileReader::maps() const {
  return map_sizes(skeleton_->obj);
}

}  // namespace loiter

#include "daemon/sensors/task_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "census.skel.h"
#include "daemon/base/fd.h"
#include "details.skel.h"

namespace loiter {
namespace {

// Feeds all that the iterator writes about one process to `take`, until the iterator or `done` says that this
// is all; the iterator looks again when it is asked again, and may find a thread born meanwhile.
template <typename Take, typename Done>
Status read_iterator(bpf_program* program, bpf_iter_link_info info, Take take, Done done) {
  const uint32_t pid = std::max(info.task.pid, info.task.tid);  // one of them
  LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
  std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(bpf_program__attach_iter(program, &options),
                                                     bpf_link__destroy);
  if (!link) return bpf_error("cannot look at process " + std::to_string(pid), errno);
  Fd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (!iterator) return bpf_error("cannot look at process " + std::to_string(pid), errno);
  std::array<std::byte, 32 * 1024> buffer;
  while (true) {
    ssize_t size = ::read(iterator.get(), buffer.data(), buffer.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size < 0) return Error{Error::Kind::internal, std::string("task iterator: ") + std::strerror(errno)};
    if (size == 0) return ok();
    if (!take(buffer.data(), static_cast<size_t>(size)))
      return Error{Error::Kind::internal, "task iterator: not what was agreed with the kernel side"};
    if (done()) return ok();
  }
}

bpf_iter_link_info all_threads_of(uint32_t pid) {
  bpf_iter_link_info info{};
  info.task.pid = pid;
  return info;
}

bpf_iter_link_info only_thread(uint32_t tid) {
  bpf_iter_link_info info{};
  info.task.tid = tid;
  return info;
}

// The kernel goes through a process by birth, and tids start again from below when they have reached pid_max.
template <typename Item, typename Tid>
void sort_by_tid(std::vector<Item>& items, Tid tid) {
  auto less = [&](const Item& a, const Item& b) { return tid(a) < tid(b); };
  if (!std::is_sorted(items.begin(), items.end(), less)) std::sort(items.begin(), items.end(), less);
}

}  // namespace

void TaskReader::Destroy::operator()(census_bpf* skeleton) const {
  census_bpf::destroy(skeleton);
}

void TaskReader::Destroy::operator()(details_bpf* skeleton) const {
  details_bpf::destroy(skeleton);
}

TaskReader::~TaskReader() = default;

Result<std::unique_ptr<TaskReader>> TaskReader::open() {
  std::unique_ptr<TaskReader> reader(new TaskReader);
  reader->census_.reset(census_bpf::open(nullptr));
  if (!reader->census_) return bpf_error("cannot open the task program", errno);
  if (int error = census_bpf::load(reader->census_.get()))
    return bpf_error("the kernel refused the task program", -error);
  reader->census_->bss->with_tls_base = 1;
  reader->details_.reset(details_bpf::open(nullptr));
  if (!reader->details_) return bpf_error("cannot open the details program", errno);
  if (int error = details_bpf::load(reader->details_.get()))
    return bpf_error("the kernel refused the details program", -error);
  return reader;
}

Status TaskReader::read(uint32_t pid, Census& census) {
  census.threads.clear();
  CensusParser parser(census);
  Status done = read_iterator(
      census_->progs.census, all_threads_of(pid),
      [&](const std::byte* data, size_t size) { return parser.feed(data, size); },
      [&] { return parser.complete(); });
  if (!done) return done;
  // A process without threads gives no opening mark either.
  if (!parser.complete()) census.threads.clear();
  sort_by_tid(census.threads, [](const loiter_thread& thread) { return thread.id.tid; });
  for (const loiter_thread& leader : census.threads) {
    if (leader.id.tid != leader.id.tgid) continue;
    for (loiter_thread& thread : census.threads) thread.id.exec_id = leader.id.exec_id;
    break;
  }
  return ok();
}

Result<std::vector<TaskDetail>> TaskReader::details(uint32_t pid, loiter_kernel_stacks which) {
  details_->bss->kernel_stacks = which;
  std::vector<std::byte> bytes;
  auto keep = [&](const std::byte* data, size_t size) {
    bytes.insert(bytes.end(), data, data + size);
    return true;
  };
  Status done = read_iterator(details_->progs.details, all_threads_of(pid), keep, [] { return false; });
  if (!done) return done.error();
  std::vector<TaskDetail> all;
  constexpr size_t kHead = offsetof(loiter_task_detail, frames);
  for (size_t at = 0; at + kHead <= bytes.size();) {
    loiter_task_detail record{};
    std::memcpy(&record, bytes.data() + at, kHead);
    at += kHead;
    TaskDetail& detail = all.emplace_back();
    detail.tid = record.tid;
    detail.ns_tid = record.ns_tid;
    for (uint32_t i = 0; i < record.kernel_frames && at + LOITER_KERNEL_SYMBOL_LEN <= bytes.size(); ++i) {
      const char* text = reinterpret_cast<const char*>(bytes.data() + at);
      detail.kernel_stack.emplace_back(text, strnlen(text, LOITER_KERNEL_SYMBOL_LEN));
      at += LOITER_KERNEL_SYMBOL_LEN;
    }
  }
  sort_by_tid(all, [](const TaskDetail& detail) { return detail.tid; });
  return all;
}

// By one thread: by process, kernels before 6.7 would tell of them once for each thread.
Result<std::vector<loiter_mapped_file>> TaskReader::mapped_files(uint32_t tid) {
  std::vector<std::byte> bytes;
  const auto keep = [&](const std::byte* data, size_t size) {
    bytes.insert(bytes.end(), data, data + size);
    return true;
  };
  Status done = read_iterator(details_->progs.mapped_files, only_thread(tid), keep, [] { return false; });
  if (!done) return done.error();
  std::vector<loiter_mapped_file> files(bytes.size() / sizeof(loiter_mapped_file));
  if (!files.empty()) std::memcpy(files.data(), bytes.data(), files.size() * sizeof(files[0]));
  return files;
}

std::vector<LossCount> TaskReader::losses() const {
  std::vector<LossCount> losses = read_losses(bpf_map__fd(census_->maps.losses));
  std::vector<LossCount> more = read_losses(bpf_map__fd(details_->maps.losses));
  for (size_t i = 0; i < losses.size() && i < more.size(); ++i) losses[i].count += more[i].count;
  return losses;
}

}  // namespace loiter

// The part of WaitFinder that knows descriptors: what they are, who is at their other end, who holds the lock
// on their file.
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "daemon/inspect/descriptors.h"
#include "daemon/inspect/wait_finder.h"

namespace loiter {
namespace {

constexpr size_t kMaxLocksBytes = 8 << 20;
constexpr size_t kMaxPeers = 64;
constexpr int kKcmpFiles = 2;  // KCMP_FILES (linux/kcmp.h)

bool reads(WaitKind kind) {
  return kind == WaitKind::read || kind == WaitKind::accept;
}

bool has_other_end(const OpenFile& file) {
  return kConnectingFileClasses & file_class_bit(static_cast<loiter_file_class>(file.file.file_class));
}

}  // namespace

// As the thread sees it: most have their leader's table.
const OpenFile* WaitFinder::own_file(uint32_t pid, uint32_t tid, int fd) {
  if (tid != pid && syscall(SYS_kcmp, pid, tid, kKcmpFiles, 0, 0) == 0) tid = pid;
  auto [table, added] = own_files_.try_emplace(tid);
  if (added && !files_ && !files_refused_) {
    auto opened = FileReader::open();
    if (opened)
      files_ = std::move(*opened);
    else
      spdlog::error("descriptors cannot be read: {}", opened.error().message);
    files_refused_ = !opened;
  }
  OpenFiles files;
  if (added && files_ && files_->read_thread(tid, {}, files)) table->second = FileTable(std::move(files));
  return table->second.find(pid, fd);
}

const FileTable& WaitFinder::host_files() {
  if (host_files_) return *host_files_;
  host_files_.emplace();
  OpenFiles files;
  FileReader::Filter filter;
  filter.classes = kConnectingFileClasses | file_class_bit(LOITER_FILE_REGULAR);
  if (files_ && files_->read_host(filter, files)) host_files_.emplace(std::move(files));
  return *host_files_;
}

void WaitFinder::find_descriptors(Inspection& inspection) {
  for (size_t i = 0; i < inspection.threads.size(); ++i) {
    InspectedThread& thread = inspection.threads[i];
    if (!thread.wait || calls_[i].fd < 0) continue;
    find_descriptor(inspection, thread, calls_[i], *thread.wait);
  }
}

void WaitFinder::find_descriptor(const Inspection& inspection, const InspectedThread& thread,
                                 const WaitCall& call, Wait& wait) {
  const OpenFile* file = own_file(inspection.pid, thread.record.id.tid, call.fd);
  Descriptor descriptor = describe_descriptor(opener_, inspection.pid, thread.record.id.tid, call.fd, file);
  wait.object = descriptor.text;
  if (call.timeout.form == TimeoutSource::Form::unknown) wait.bounded = is_bounded(call, file);
  if (descriptor.timer && wait.kind == WaitKind::read && descriptor.timer->left_ns) {
    wait.bounded = true;
    wait.timeout_left_ns = descriptor.timer->left_ns;
  }
  if (wait.kind == WaitKind::file_lock) {
    find_lock_holder(inspection, thread, call, wait);
    return;
  }
  bool may_have_peers =
      wait.kind == WaitKind::read || wait.kind == WaitKind::write || wait.kind == WaitKind::connect;
  if (!file || !may_have_peers || !has_other_end(*file)) return;
  FileUse use = reads(wait.kind) ? FileUse::reads : FileUse::writes;
  for (const FileEnd& end : host_files().other_ends(*file, use).ends) {
    if (wait.peers.size() >= kMaxPeers) break;
    wait.peers.push_back({end.pid, end.fd});
  }
  const bool own = !wait.peers.empty() && std::ranges::all_of(wait.peers, [&](const Peer& peer) {
    return peer.pid == inspection.pid;
  });
  wait.only_itself = own && inspection.threads.size() == 1 && wait.bounded == false &&
                     catches_no_signal(inspection.memory_tid);
}

// A handler could write to the pipe that is read. "SigCgt:", a mask in hexadecimal.
bool WaitFinder::catches_no_signal(uint32_t tid) {
  constexpr size_t kMaxStatusBytes = 64 << 10;
  constexpr std::string_view kKey = "\nSigCgt:\t";
  auto status = opener_.read_file("/proc/" + std::to_string(tid) + "/status", kMaxStatusBytes);
  const size_t at = status ? status->find(kKey) : std::string::npos;
  if (at == std::string::npos) return false;
  const size_t begin = at + kKey.size();
  const std::string mask = status->substr(begin, status->find('\n', begin) - begin);
  return !mask.empty() && mask.find_first_not_of('0') == std::string::npos;
}

void WaitFinder::find_lock_holder(const Inspection& inspection, const InspectedThread& thread,
                                  const WaitCall& call, Wait& wait) {
  wait.holder.state = HolderState::unknown;
  if (!file_locks_) {
    auto text = opener_.read_file("/proc/locks", kMaxLocksBytes);
    file_locks_ = parse_file_locks(text ? *text : std::string());
  }
  const OpenFile* file = own_file(inspection.pid, thread.record.id.tid, call.fd);
  std::optional<FileIdentity> identity;
  if (file) identity = identity_of(file->file);
  std::vector<LockWait> waits = lock_waits(*file_locks_, inspection.pid, identity);
  if (waits.size() != 1 || waits.front().held.empty())
    return;  // several threads at one file: whose is which?
  const FileLock& held = waits.front().held.front();
  std::vector<uint32_t> holders = lock_holders(held, host_files(), opener_);
  static constexpr const char* kTypes[] = {"fcntl lock", "open file description lock", "flock", "lease",
                                           "lock"};
  wait.detail = std::string(kTypes[static_cast<size_t>(held.type)]) +
                (waits.front().wanted.writes ? ", to write" : ", to read");
  if (holders.size() == 1) {
    wait.holder = {HolderState::alive, 0, holders.front()};
    return;
  }
  // Inherited by fork or handed over: any of them may unlock it.
  for (uint32_t pid : holders)
    if (wait.peers.size() < kMaxPeers) wait.peers.push_back({pid, -1});
}

}  // namespace loiter

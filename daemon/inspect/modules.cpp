#include "daemon/inspect/modules.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr size_t kMaxFiles = 3000;  // below StackParser::Limits::modules
constexpr uint64_t kMaxVdso = 64 * 1024;
constexpr uint64_t kTryAgainNs = 1'000'000'000;  // a file, by the mapping that failed last
constexpr std::string_view kVdso = "[vdso]";

std::string map_files_path(uint32_t pid, const Mapping& mapping) {
  char path[96];
  std::snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, mapping.start,
                mapping.end);
  return path;
}

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

// Debug links are the target's word: on this host they lead to its directory of debug files and nowhere else.
bool may_open(FileToOpen::Kind kind, const std::string& path) {
  return kind == FileToOpen::Kind::in_root ||
         (path.starts_with("/usr/lib/debug/") && path.find("/../") == path.npos);
}

}  // namespace

const std::string& Modules::name(ModuleKey key) const {
  static const std::string kNone;
  auto found = names_.find(key);
  return found == names_.end() ? kNone : found->second;
}

std::vector<CodeMapping> Modules::resolve(uint32_t pid, const std::vector<Mapping>& mappings) {
  ++tick_;
  forget_old();
  std::vector<CodeMapping> code;
  for (const Mapping& mapping : mappings) {
    if (!mapping.executable) continue;
    CodeMapping& entry = code.emplace_back();
    entry = {mapping.start, mapping.end, mapping.offset, 0};
    bool vdso = mapping.path == kVdso;
    if (mapping.inode == 0 && !vdso) continue;
    File& file = files_[{mapping.device_major, mapping.device_minor, mapping.inode, mapping.path}];
    file.used = tick_;
    if (file.key == 0) {
      file.key = ++last_key_;
      names_[file.key] = mapping.path;
    }
    if (file.generation != parser_.generation() && !file.refused) give(pid, mapping, file);
    if (file.generation == parser_.generation() && !file.refused) entry.module = file.key;
  }
  return code;
}

Result<Fd> Modules::open_mapped(uint32_t pid, const Mapping& mapping) {
  if (mapping.path == kVdso) return copy_vdso(pid, mapping);
  auto opened = opener_.open_file({FileToOpen::Kind::plain, 0, map_files_path(pid, mapping)});
  if (opened) return opened;
  // Without CAP_CHECKPOINT_RESTORE: by its path, if that still is the file that is mapped.
  auto by_path = opener_.open_file({FileToOpen::Kind::in_root, pid, mapping.path});
  struct stat status {};
  if (by_path && fstat(by_path->get(), &status) == 0 && status.st_ino == mapping.inode) return by_path;
  return opened;
}

// The vDSO is in no file: its image is copied out of the target.
Result<Fd> Modules::copy_vdso(uint32_t pid, const Mapping& mapping) {
  uint64_t size = std::min(mapping.end - mapping.start, kMaxVdso);
  // Stacks may lie in the shared memory just now, from its beginning on.
  constexpr uint64_t kPlace = SharedMemory::kSize - SharedMemory::kReserved;
  static_assert(kMaxVdso <= SharedMemory::kReserved);
  std::vector<MemoryPiece> pieces{{mapping.start, static_cast<uint32_t>(size), 0, kPlace}};
  if (Status read = opener_.read_memory(pid, pieces); !read) return read.error();
  Fd copy(memfd_create("vdso", MFD_CLOEXEC));
  if (!copy ||
      write(copy.get(), opener_.memory() + kPlace, pieces[0].got) != static_cast<ssize_t>(pieces[0].got))
    return Error{Error::Kind::internal, "cannot copy the vDSO"};
  return copy;
}

// Another process may well open it, and this one where it was mapped anew: the C library must not be refused
// for good because somebody ended just when it was to be opened.
bool Modules::failed_just_now(uint32_t pid, const Mapping& mapping, const File& file) {
  return file.failed.pid == pid && file.failed.start == mapping.start && file.failed.end == mapping.end &&
         monotonic_now_ns() - file.failed.monotonic_ns < kTryAgainNs;
}

void Modules::give(uint32_t pid, const Mapping& mapping, File& file) {
  if (failed_just_now(pid, mapping, file)) return;
  const uint64_t restarts = opener_.restarts();
  auto opened = open_mapped(pid, mapping);
  if (!opened) {
    file.refused = opener_.restarts() != restarts;
    file.failed = {pid, mapping.start, mapping.end, monotonic_now_ns()};
    return;
  }
  file.generation = parser_.generation();
  auto facts = parser_.add(ParserOp::add_module, file.key, std::move(*opened));
  if (!facts || !facts->valid) {
    file.refused = true;
    return;
  }
  file.facts = std::move(*facts);
  if (!file.facts.has_lines && mapping.path != kVdso) give_debug_file(pid, mapping, file);
  file.refused = file.generation != parser_.generation();  // its debug file was the end of the parser
}

// Where gdb looks: by build id, then by .gnu_debuglink beside the file and under /usr/lib/debug; under the
// target's own root first, then on this host.
void Modules::give_debug_file(uint32_t pid, const Mapping& mapping, File& file) {
  std::vector<std::string> paths;
  const std::string& id = file.facts.build_id;
  if (id.size() > 2)
    paths.push_back("/usr/lib/debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  const std::string& link = file.facts.debug_link;
  if (!link.empty() && link.find('/') == std::string::npos) {
    std::string directory = directory_of(mapping.path);
    paths.push_back(directory + "/" + link);
    paths.push_back(directory + "/.debug/" + link);
    paths.push_back("/usr/lib/debug" + directory + "/" + link);
  }
  for (const std::string& path : paths)
    if (try_debug_file(pid, path, file)) return;
}

bool Modules::try_debug_file(uint32_t pid, const std::string& path, File& file) {
  for (FileToOpen::Kind kind : {FileToOpen::Kind::in_root, FileToOpen::Kind::plain}) {
    if (!may_open(kind, path)) continue;
    auto opened = opener_.open_file({kind, pid, path});
    if (!opened) continue;
    auto facts = parser_.add(ParserOp::add_debug_file, file.key, std::move(*opened));
    if (!facts || !facts->valid) continue;
    if (!facts->alt_link.empty()) give_supplement(pid, path, facts->alt_link, file);
    return true;
  }
  return false;
}

void Modules::give_supplement(uint32_t pid, const std::string& debug_path, const std::string& link,
                              File& file) {
  std::string path = link.starts_with('/') ? link : directory_of(debug_path) + "/" + link;
  for (FileToOpen::Kind kind : {FileToOpen::Kind::in_root, FileToOpen::Kind::plain}) {
    if (!may_open(kind, path)) continue;
    auto opened = opener_.open_file({kind, pid, path});
    if (!opened) continue;
    auto facts = parser_.add(ParserOp::add_supplement, file.key, std::move(*opened));
    if (facts && facts->valid) return;
  }
}

// Written anew while code is compiled, so read anew each time; only what its process' user made himself.
ModuleKey Modules::perf_map(uint32_t pid, uint32_t ns_pid, uint32_t uid) {
  if (auto before = perf_maps_.find(pid); before != perf_maps_.end()) {
    names_.erase(before->second);
    parser_.forget(before->second);
    perf_maps_.erase(before);
  }
  auto opened =
      opener_.open_file({FileToOpen::Kind::in_root, pid, "/tmp/perf-" + std::to_string(ns_pid) + ".map"});
  struct stat status {};
  if (!opened || fstat(opened->get(), &status) || status.st_uid != uid) return 0;
  ModuleKey key = ++last_key_;
  auto facts = parser_.add(ParserOp::add_perf_map, key, std::move(*opened));
  if (!facts || !facts->valid) return 0;
  perf_maps_[pid] = key;
  names_[key] = "[jit]";
  return key;
}

void Modules::forget_old() {
  if (files_.size() < kMaxFiles) return;
  std::vector<uint64_t> uses;
  for (const auto& [id, file] : files_) uses.push_back(file.used);
  std::nth_element(uses.begin(), uses.begin() + uses.size() / 2, uses.end());
  uint64_t keep_after = uses[uses.size() / 2];
  std::erase_if(files_, [&](const auto& item) {
    if (item.second.used > keep_after) return false;
    parser_.forget(item.second.key);
    names_.erase(item.second.key);
    return true;
  });
}

}  // namespace loiter

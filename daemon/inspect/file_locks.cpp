#include "daemon/inspect/file_locks.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace loiter {
namespace {

constexpr size_t kMaxFdinfoBytes = 64 * 1024;
constexpr size_t kMaxCandidates = 256;  // descriptors of one file that are asked for their locks

// Takes a line apart. Every function leaves `text` behind what it took.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  void skip_blanks() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }

  bool take(std::string_view wanted) {
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }

  template <typename Number>
  bool number(Number& value, int base = 10) {
    auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value, base);
    if (error != std::errc()) return false;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return true;
  }

  std::string_view word() {
    skip_blanks();
    std::string_view word = text_.substr(0, text_.find(' '));
    text_.remove_prefix(word.size());
    return word;
  }

  size_t left() const { return text_.size(); }

 private:
  std::string_view text_;
};

FileLock::Type type_of(std::string_view word) {
  if (word == "POSIX") return FileLock::Type::posix;
  if (word == "OFDLCK") return FileLock::Type::ofd;
  if (word == "FLOCK") return FileLock::Type::flock;
  if (word == "LEASE" || word == "DELEG") return FileLock::Type::lease;
  return FileLock::Type::other;
}

// "08:01:131090", major and minor hexadecimal; "<none>:0" where there is no inode.
bool take_file(Line& line, FileLock& lock) {
  line.skip_blanks();
  if (line.take("<none>:0")) return true;
  return line.number(lock.device_major, 16) && line.take(":") && line.number(lock.device_minor, 16) &&
         line.take(":") && line.number(lock.inode);
}

bool take_range(Line& line, FileLock& lock) {
  line.skip_blanks();
  if (!line.number(lock.start)) return false;
  line.skip_blanks();
  if (line.take("EOF")) return true;
  return line.number(lock.end) && lock.end >= lock.start;
}

// "1: POSIX  ADVISORY  WRITE 1234 08:01:131090 0 EOF", and of a waiter "1: -> POSIX …", one more blank a
// level.
std::optional<FileLock> parse_line(std::string_view text) {
  Line line(text);
  FileLock lock;
  if (!line.number(lock.id) || !line.take(":")) return std::nullopt;
  const size_t before = line.left();
  line.skip_blanks();
  if (size_t blanks = before - line.left(); line.take("->")) lock.depth = static_cast<uint32_t>(blanks);
  lock.type = type_of(line.word());
  if (line.word().empty()) return std::nullopt;  // ADVISORY, and of a lease ACTIVE, BREAKING
  const std::string_view mode = line.word();
  if (mode != "READ" && mode != "WRITE" && mode != "UNLCK" && mode != "NONE" && mode != "RW")
    return std::nullopt;
  lock.writes = mode == "WRITE" || mode == "RW";
  line.skip_blanks();
  if (!line.number(lock.pid) || !take_file(line, lock) || !take_range(line, lock)) return std::nullopt;
  line.skip_blanks();
  if (line.left() != 0) return std::nullopt;
  return lock;
}

// Calls take(line) for each line; false: the last one is cut.
template <typename Take>
bool each_line(std::string_view text, Take take) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    take(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return true;
}

void take_line(std::string_view line, size_t max_locks, FileLocks& out) {
  if (out.locks.size() >= max_locks) {
    ++out.left_out;
    return;
  }
  if (std::optional<FileLock> lock = parse_line(line))
    out.locks.push_back(*lock);
  else
    ++out.not_understood;
}

bool is_posix(FileLock::Type type) {
  return type == FileLock::Type::posix || type == FileLock::Type::ofd;
}

// Index of what is held at the root of the waiter at `at`; nullopt: it was not told.
std::optional<size_t> root_of(const FileLocks& locks, size_t at) {
  for (size_t i = at; i-- > 0;) {
    if (locks.locks[i].id != locks.locks[at].id) return std::nullopt;
    if (locks.locks[i].depth == 0) return i;
  }
  return std::nullopt;
}

// Whether the two are one: what is held never stands in the list twice.
bool same_lock(const FileLock& a, const FileLock& b) {
  return a.type == b.type && a.pid == b.pid && a.start == b.start && a.end == b.end && a.writes == b.writes &&
         identity_of(a) == identity_of(b);
}

bool descriptor_has(const FileLock& held, const loiter_file& file, ProcFiles& proc) {
  const std::string path = "/proc/" + std::to_string(file.pid) + "/task/" + std::to_string(file.tid) +
                           "/fdinfo/" + std::to_string(file.fd);
  auto text = proc.read_file(path, kMaxFdinfoBytes);
  if (!text) return false;
  const FileLocks locks = parse_fdinfo_locks(*text);
  return std::any_of(locks.locks.begin(), locks.locks.end(), [&](const FileLock& lock) {
    return lock.type == held.type && lock.start == held.start && lock.end == held.end &&
           lock.writes == held.writes && identity_of(lock) == identity_of(held);
  });
}

}  // namespace

FileIdentity identity_of(const loiter_file& file) {
  return {file.device >> 20, file.device & 0xfffff, file.inode};  // MKDEV, include/linux/kdev_t.h
}

FileIdentity identity_of(const FileLock& lock) {
  return {lock.device_major, lock.device_minor, lock.inode};
}

FileLocks parse_file_locks(std::string_view text, size_t max_locks) {
  FileLocks out;
  if (!each_line(text, [&](std::string_view line) { take_line(line, max_locks, out); })) ++out.not_understood;
  return out;
}

FileLocks parse_fdinfo_locks(std::string_view text, size_t max_locks) {
  FileLocks out;
  each_line(text, [&](std::string_view line) {
    constexpr std::string_view kKey = "lock:\t";
    if (line.starts_with(kKey)) take_line(line.substr(kKey.size()), max_locks, out);
  });
  return out;
}

bool conflicts(const FileLock& held, const FileLock& wanted) {
  if (identity_of(held) != identity_of(wanted) || held.inode == 0) return false;
  if (held.type != wanted.type && !(is_posix(held.type) && is_posix(wanted.type))) return false;
  if (!held.writes && !wanted.writes) return false;
  return held.start <= wanted.end && wanted.start <= held.end;
}

std::vector<LockWait> lock_waits(const FileLocks& locks, uint32_t pid,
                                 const std::optional<FileIdentity>& file) {
  std::vector<LockWait> waits;
  for (size_t i = 0; i < locks.locks.size(); ++i) {
    const FileLock& wanted = locks.locks[i];
    if (wanted.depth == 0) continue;
    // The number of an OFD request is told for nobody's: on this very file it may be this process's.
    const bool is_own = wanted.pid > 0 && static_cast<uint32_t>(wanted.pid) == pid;
    if (!is_own && !(wanted.type == FileLock::Type::ofd && file)) continue;
    if (file && identity_of(wanted) != *file) continue;
    LockWait& wait = waits.emplace_back(LockWait{wanted, {}});
    if (std::optional<size_t> root = root_of(locks, i)) wait.held.push_back(locks.locks[*root]);
    for (const FileLock& held : locks.locks) {
      if (held.depth != 0 || !conflicts(held, wanted)) continue;
      if (held.type == FileLock::Type::posix && wanted.type == held.type && held.pid == wanted.pid) continue;
      if (!wait.held.empty() && same_lock(wait.held.front(), held)) continue;
      wait.held.push_back(held);
    }
  }
  return waits;
}

std::vector<uint32_t> lock_holders(const FileLock& held, const FileTable& table, ProcFiles& proc) {
  std::set<uint32_t> pids;
  if (held.type != FileLock::Type::posix) {
    size_t asked = 0;
    for (uint32_t i : table.of_inode(held.inode)) {
      const loiter_file& file = table.files()[i].file;
      if (identity_of(file) != identity_of(held)) continue;
      if (++asked > kMaxCandidates) break;
      if (descriptor_has(held, file, proc)) pids.insert(file.pid);
    }
  }
  if (pids.empty() && held.pid > 0) pids.insert(static_cast<uint32_t>(held.pid));
  return {pids.begin(), pids.end()};
}

}  // namespace loiter

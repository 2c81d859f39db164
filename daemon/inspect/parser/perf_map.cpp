#include "daemon/inspect/parser/perf_map.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <queue>

#include "daemon/inspect/parser/function_table.h"

namespace loiter {
namespace {

// A hexadecimal number at the front, with or without 0x, and the blank behind it.
std::optional<uint64_t> take_number(std::string_view& line) {
  if (line.starts_with("0x") || line.starts_with("0X")) line.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value, 16);
  if (error != std::errc() || end == line.data() + line.size() || *end != ' ') return std::nullopt;
  line.remove_prefix(static_cast<size_t>(end - line.data()) + 1);
  return value;
}

}  // namespace

std::optional<PerfMap> PerfMap::read(int fd, const Limits& limits) {
  std::string text;
  constexpr size_t kPiece = 1 << 20;
  while (text.size() <= limits.bytes) {  // one byte more than allowed tells that there is more
    const size_t size = text.size();
    text.resize(size + std::min(kPiece, limits.bytes + 1 - size));
    const ssize_t got = pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
    text.resize(size + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
  }
  return PerfMap(text, limits);
}

PerfMap::PerfMap(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes) {
    text = text.substr(0, limits.bytes);
    cut_ = true;
  }
  std::vector<Range> entries;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (!take_line(text.substr(0, end), limits, entries)) break;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  entries_ = entries.size();
  flatten(entries);
}

bool PerfMap::take_line(std::string_view line, const Limits& limits, std::vector<Range>& entries) {
  const std::optional<uint64_t> start = take_number(line);
  const std::optional<uint64_t> size = start ? take_number(line) : std::nullopt;
  if (!size || *size == 0 || line.empty() || *start + *size < *start) return true;
  if (entries.size() == limits.entries) {
    cut_ = true;
    return false;
  }
  const std::string name = bounded_name(line, limits.name_bytes);
  entries.push_back({*start, *start + *size, names_.size(), static_cast<uint32_t>(name.size())});
  names_ += name;
  return true;
}

void PerfMap::append(const Range& entry, uint64_t start, uint64_t end) {
  if (start >= end) return;
  if (!ranges_.empty() && ranges_.back().end == start && ranges_.back().name == entry.name)
    ranges_.back().end = end;
  else
    ranges_.push_back({start, end, entry.name, entry.name_size});
}

// A sweep over the addresses, with the entries that are open there, the latest on top. Names lie in the pool
// in the order of their lines: a later one has a higher place.
void PerfMap::flatten(std::vector<Range>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Range& a, const Range& b) { return a.start < b.start; });
  const auto earlier = [](const Range* a, const Range* b) { return a->name < b->name; };
  std::priority_queue<const Range*, std::vector<const Range*>, decltype(earlier)> open(earlier);
  uint64_t at = 0;
  // Tells who has the addresses from `at` to `until`.
  const auto advance = [&](uint64_t until) {
    while (!open.empty() && at < until) {
      const Range& top = *open.top();
      const uint64_t end = std::min(top.end, until);
      append(top, at, end);
      at = std::max(at, end);
      if (top.end <= at) open.pop();
    }
    at = until;
  };
  for (const Range& entry : entries) {
    advance(entry.start);
    open.push(&entry);
  }
  advance(UINT64_MAX);
  ranges_.shrink_to_fit();
}

std::optional<std::string_view> PerfMap::find(uint64_t address) const {
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](uint64_t value, const Range& range) { return value < range.start; });
  if (after == ranges_.begin() || (--after)->end <= address) return std::nullopt;
  return std::string_view(names_).substr(after->name, after->name_size);
}

size_t PerfMap::memory_bytes() const {
  return sizeof(*this) + ranges_.capacity() * sizeof(Range) + names_.capacity();
}

}  // namespace loiter

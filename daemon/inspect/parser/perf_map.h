// A perf map: where a JIT compiler says which code it has put where ("START SIZE name", hexadecimal, a line
// each).
//
// Read once, then asked; one thread. Written by the program that is looked at: lines may be anything. A JIT
// reuses memory, so a later line hides earlier ones where they overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loiter {

class PerfMap {
 public:
  struct Limits {
    size_t bytes = 64 << 20;  // of text; what follows is left out
    size_t entries = 1'000'000;
    size_t name_bytes = 4096;
  };

  PerfMap(std::string_view text, const Limits& limits);

  // Reads an open file from its beginning; nullopt: it cannot be read.
  static std::optional<PerfMap> read(int fd, const Limits& limits);

  std::optional<std::string_view> find(uint64_t address) const;

  size_t size() const { return entries_; }
  bool cut() const { return cut_; }  // a limit left something out
  size_t memory_bytes() const;

 private:
  struct Range {
    uint64_t start, end;
    size_t name;  // in names_
    uint32_t name_size;
  };
  bool take_line(std::string_view line, const Limits& limits, std::vector<Range>& entries);
  void flatten(std::vector<Range>& entries);
  void append(const Range& entry, uint64_t start, uint64_t end);

  std::vector<Range> ranges_;  // ascending, not overlapping
  std::string names_;
  size_t entries_ = 0;
  bool cut_ = false;
};

}  // namespace loiter

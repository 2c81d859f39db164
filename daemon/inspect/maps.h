// The memory map of a process, as /proc/PID/maps tells it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loiter {

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t offset = 0;
  uint64_t inode = 0;  // 0: no file
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  bool executable = false;
  bool readable = false;
  bool deleted = false;  // " (deleted)" behind the path
  std::string path;      // bytes as the kernel escapes them ("\012" for a newline); "[stack]"; empty
  bool operator==(const Mapping&) const = default;
};

// Lines that cannot be understood are left out; at most `limit` mappings. Ascending, as the kernel writes
// them; one that does not rise is left out as well.
std::vector<Mapping> parse_maps(std::string_view text, size_t limit = 1'000'000);

// The mapping with that address, or null.
const Mapping* find_mapping(const std::vector<Mapping>& mappings, uint64_t address);

// Those that hold code.
std::vector<Mapping> code_of(const std::vector<Mapping>& mappings);

// Whether a file of that path is a C library by its name: glibc's since 2.34 and before; musl's, which is its
// own dynamic linker.
bool is_named_like_libc(std::string_view path);

}  // namespace loiter
